import assert from "node:assert/strict";
import fc from "fast-check";
import { lines } from "./json_lines.ts";

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
  const long = new Uint8Array(32 << 20).fill(0x61).with(-1, 0x0a);
  const short = long.subarray(7 * long.length / 8);
  const best = [Infinity, Infinity];
  for (let round = 0; round < 3; round++) {
    for (const [i, bytes] of [short, long].entries()) {
      const start = performance.now();
      const [line] = await Array.fromAsync(lines(connection(bytes, 65536), bytes.length));
      best[i] = Math.min(best[i]!, performance.now() - start);
      assert.equal(line!.length, bytes.length - 1);
    }
  }
  // 8 times, where a copy for each chunk would make it 64.
  assert.ok(best[1]! < 24 * best[0]!, `${best} ms`);
});
