import assert from "node:assert/strict";
import fc from "fast-check";
import { lines } from "./json_lines.ts";

/** Far above what reading a long line takes, and far below what a copy for each of its chunks would. */
const DEADLINE_MILLISECONDS = 10_000;

/** A connection that gives some bytes, so many at once. */
function connection(bytes: Uint8Array, most: number): Deno.Conn {
  let at = 0;
  const read = (into: Uint8Array) => {
    if (at === bytes.length) return Promise.resolve(null);
    const piece = bytes.subarray(at, at + Math.min(most, into.length));
    into.set(piece);
    at += piece.length;
    return Promise.resolve(piece.length);
  };
  return { read } as unknown as Deno.Conn;
}

Deno.test("lines are what is between newlines, however they come", async () => {
  const texts = fc.array(fc.oneof(fc.string({ unit: "grapheme" }), fc.constant("\n"))).map((all) =>
    all.join("")
  );
  await fc.assert(fc.asyncProperty(texts, fc.integer({ min: 1, max: 9 }), async (text, most) => {
    const found = await Array.fromAsync(lines(connection(new TextEncoder().encode(text), most)));
    assert.deepEqual(found, text.split("\n").slice(0, -1).filter((line) => line !== ""));
  }));
});

Deno.test("a line takes as long as it is long", async () => {
  const bytes = new Uint8Array(64 << 20).fill(0x61).with(-1, 0x0a);
  const start = performance.now();
  const [line] = await Array.fromAsync(lines(connection(bytes, 65536), bytes.length));
  assert.equal(line!.length, bytes.length - 1);
  assert.ok(performance.now() - start < DEADLINE_MILLISECONDS);
});
