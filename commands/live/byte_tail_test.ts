import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteTail } from "./byte_tail.ts";

Deno.test("of any stream the last bytes are there, from any place on", () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 20_000 }), { maxLength: 8 });
  fc.assert(fc.property(pieces, fc.nat(200_000), (all, from) => {
    const tail = new ByteTail(16384);
    for (const piece of all) tail.push(piece);
    const whole = new Uint8Array(all.reduce((sum, { length }) => sum + length, 0));
    all.reduce((at, piece) => (whole.set(piece, at), at + piece.length), 0);
    assert.equal(tail.end, whole.length);
    assert.ok(tail.end - tail.start >= Math.min(whole.length, 16384));
    assert.deepEqual(tail.since(from), whole.slice(Math.max(from, tail.start)));
  }));
});
