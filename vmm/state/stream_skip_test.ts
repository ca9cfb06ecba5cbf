/** A stream whose memory is left out at first: the rest of it proves whole, and says where memory is. */
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { StreamReader } from "./stream_reader.ts";
import { StreamWriter } from "./stream_writer.ts";

type Found = { name: string; bytes: Uint8Array; crc: number | undefined };

const MEMORY = [
  ["mem/ram0/0x0000000000", crypto.getRandomValues(new Uint8Array(4096))],
  ["mem/ram0/0x0000001000", new Uint8Array(0)],
  ["mem/ram0/0x0000002000", crypto.getRandomValues(new Uint8Array(700))],
] as const;

async function stream(): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const writer = new StreamWriter({
    write: (pieces) => void parts.push(...pieces.map((piece) => piece.slice())),
  });
  await writer.json("vm.json", { vm: 1 });
  for (const [name, bytes] of MEMORY) await writer.record(name, bytes);
  await writer.json("cpu/0.json", {});
  await writer.end();
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** Reads all but memory, of which it notes where it is. */
function skim(bytes: Uint8Array): { records: string[]; memory: Found[] } {
  const records: string[] = [];
  const memory: Found[] = [];
  let at = 0;
  const reader = new StreamReader({
    memory: (name) => assert.fail(`${name} is read`),
    passes(name, size, crc) {
      memory.push({ name, bytes: bytes.subarray(at, at + size), crc });
      return true;
    },
    record: (name) => void records.push(name),
  });
  while (!reader.done) {
    if (reader.skip > 0) {
      at += reader.skip;
      reader.skipped();
      continue;
    }
    const { place } = reader;
    const piece = bytes.subarray(at, at + place.length);
    if (piece.length === 0) reader.close();
    place.set(piece);
    at += piece.length;
    reader.advance(piece.length);
  }
  return { records, memory };
}

Deno.test("memory that is passed over is where the reader says, with its CRC", async () => {
  const { records, memory } = skim(await stream());
  assert.deepEqual(records, ["vm.json", "cpu/0.json"]);
  assert.deepEqual(memory.map(({ name }) => name), MEMORY.map(([name]) => name));
  for (const [i, { bytes, crc }] of memory.entries()) {
    assert.deepEqual([...bytes], [...MEMORY[i]![1]]);
    assert.equal(crc, crc32(MEMORY[i]![1]));
  }
});

Deno.test("a header that has changed, or a stream that is cut off, is found with memory left out", async () => {
  const bytes = await stream();
  for (let at = 0; at < bytes.length; at += 512) {
    assert.throws(() => skim(bytes.subarray(0, at)), /cut off|ends after|comes first/);
  }
  const header = bytes.findIndex((_, i) =>
    new TextDecoder().decode(bytes.subarray(i, i + 21)) === MEMORY[2][0]
  );
  for (const at of [header + 20, header + 130, header + 270]) {
    const changed = bytes.with(at, bytes[at]! ^ 1);
    assert.throws(() => skim(changed), /mem\/ram0|end\.json/);
  }
});
