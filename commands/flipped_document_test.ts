import { equal } from "node:assert/strict";
import { HvshError } from "../ffi/errors.ts";
import { parseDocument } from "../vmm/document.ts";
import { readObjects } from "./document_input.ts";
import { asDocument } from "./documents.ts";

const DOCUMENT = new TextEncoder().encode(
  '{"vm":1,"name":"web","memory":[{"type":"ram","size":"64M"},{"type":"rom","base":4294901760,' +
    '"path":"/b"}],"cpus":2,"cpu":{"mask":["avx"]},"boot":{"flat":{"images":[{"data":"9A==",' +
    '"base":31744}],"mode":"real"},"cmdline":"é"},"devices":[{"type":"serial","name":"com","port":1016}]}\n',
);

/** What a stage that reads bytes does with them: a document, or an error that is hvsh's own. */
async function taken(bytes: Uint8Array<ArrayBuffer>): Promise<"document" | "error"> {
  try {
    const objects = await Array.fromAsync(readObjects(new Blob([bytes]).stream()));
    for (const object of objects) parseDocument(asDocument(object, "stdin"), "stdin");
    return objects.length > 0 ? "document" : "error";
  } catch (error) {
    if (!(error instanceof HvshError)) throw error;
    equal(error.exitStatus, 125);
    equal(error.message.includes("\n"), false, error.message);
    return "error";
  }
}

Deno.test("a document with any bit of any byte flipped is a document or an error in one line", async () => {
  equal(await taken(DOCUMENT), "document");
  for (let at = 0; at < DOCUMENT.length; at++) {
    for (const bit of [0, 1, 4, 6, 7]) {
      const flipped = DOCUMENT.slice();
      flipped[at]! ^= 1 << bit;
      await taken(flipped);
    }
  }
});

Deno.test("a document that is cut off anywhere is an error", async () => {
  for (let length = 0; length < DOCUMENT.length - 1; length++) {
    equal(await taken(DOCUMENT.slice(0, length)), "error", `${length} bytes`);
  }
});

Deno.test("a document with a byte too much or too few in the middle is taken or an error", async () => {
  for (let at = 0; at < DOCUMENT.length; at++) {
    const [before, after] = [DOCUMENT.subarray(0, at), DOCUMENT.subarray(at)];
    await taken(Uint8Array.of(...before, ...after.subarray(1)));
    for (const byte of [0, 0x22, 0x7b, 0x7d, 0x80]) {
      await taken(Uint8Array.of(...before, byte, ...after));
    }
  }
});
