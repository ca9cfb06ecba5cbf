import assert from "node:assert/strict";
import type { Asker, FileNode } from "./node.ts";
import { tableFolder } from "./table_folder.ts";
import { flatKeyed, textFile } from "./text_file.ts";

const ASKER: Asker = { pid: 0, signal: new AbortController().signal };
const READING = { read: true, write: false, nonBlocking: false };

Deno.test("a table is the listing, what is found, and the help", async () => {
  const place = { open: false };
  const folder = tableFolder<typeof place>(
    {
      state: { help: "how it is", node: () => textFile({ read: () => "well\n" }) },
      door: { help: "its way in", there: ({ open }) => open, node: () => textFile({}) },
    },
    place,
    "A house",
  );
  const names = async () => (await folder.list(ASKER)).map(({ name }) => name);
  assert.deepEqual(await names(), ["help", "state"]);
  assert.equal(await folder.find("door", ASKER), undefined);
  assert.equal(await folder.find("constructor", ASKER), undefined);
  place.open = true;
  assert.deepEqual(await names(), ["help", "state", "door"]);
  assert.equal((await folder.find("door", ASKER))?.kind, "file");
  const help = await folder.find("help", ASKER) as FileNode;
  const text = await (await help.open(READING, ASKER)).read!(0n, 4096, ASKER);
  const wanted = "A house\n\nstate  how it is\ndoor   its way in\nhelp   this text\n";
  assert.equal(new TextDecoder().decode(text), wanted);
});

Deno.test("a text that is read in pieces stays the same until it is read from its start", async () => {
  let count = 0;
  const file = await textFile({ read: () => `${count++}abc` }).open(READING, ASKER);
  const read = async (position: bigint, size: number) =>
    new TextDecoder().decode(await file.read!(position, size, ASKER));
  assert.equal(await read(0n, 2), "0a");
  assert.equal(await read(2n, 9), "bc");
  assert.equal(await read(4n, 9), "");
  assert.equal(await read(0n, 9), "1abc");
});

Deno.test("flat keyed text has a line a key", () => {
  assert.equal(flatKeyed({ a: 1, b: [1, 2], c: "x" }), "a 1\nb 1 2\nc x\n");
});
