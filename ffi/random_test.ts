import "../tests/c_library.ts";
import assert from "node:assert/strict";
import { fillRandom } from "./random.ts";

Deno.test("memory is filled to its end, and no further", () => {
  const memory = new Uint8Array(1 << 20);
  const part = memory.subarray(100, memory.length - 100);
  fillRandom(part);
  const counts = new Uint32Array(256);
  for (const byte of part) counts[byte]!++;
  assert.ok(
    Math.min(...counts) > 3000 && Math.max(...counts) < 5200,
    "bytes are not spread evenly",
  );
  assert.ok(memory.subarray(0, 100).every((byte) => byte === 0));
  assert.ok(memory.subarray(memory.length - 100).every((byte) => byte === 0));
});

Deno.test("no memory needs no bytes", () => fillRandom(new Uint8Array(0)));
