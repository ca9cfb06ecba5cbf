import assert from "node:assert/strict";
import fc from "fast-check";
import { FrameSplitter } from "./frame_splitter.ts";
import { MAX_FRAME, MIN_FRAME } from "./net_backend.ts";

function stream(frames: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(frames.reduce((sum, frame) => sum + 4 + frame.length, 0));
  let at = 0;
  for (const frame of frames) {
    new DataView(bytes.buffer).setUint32(at, frame.length);
    bytes.set(frame, at + 4);
    at += 4 + frame.length;
  }
  return bytes;
}

Deno.test("frames come out as they went in, however the stream is cut", () => {
  const frame = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc.integer({ min: 0, max: MAX_FRAME }).map((length) => new Uint8Array(length).fill(length)),
  );
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1 }),
      (frames, cuts) => {
        const splitter = new FrameSplitter();
        const bytes = stream(frames);
        const got: Uint8Array[] = [];
        for (let at = 0, cut = 0; at < bytes.length; cut++) {
          const room = splitter.room();
          assert(room.length > 0);
          const count = Math.min(room.length, cuts[cut % cuts.length]!, bytes.length - at);
          room.set(bytes.subarray(at, at + count));
          splitter.filled(count);
          at += count;
          for (let next = splitter.next(); next !== undefined; next = splitter.next()) {
            got.push(next.slice());
          }
          assert.equal(splitter.broken, false);
        }
        assert.deepEqual(got, frames.filter(({ length }) => length >= MIN_FRAME));
      },
    ),
  );
});

Deno.test("bytes that are no frames end in a complaint, or wait for more", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const splitter = new FrameSplitter();
      splitter.room().set(bytes);
      splitter.filled(bytes.length);
      let total = 0;
      for (let next = splitter.next(); next !== undefined; next = splitter.next()) {
        total += next.length;
      }
      assert(total <= bytes.length);
      if (bytes.length >= 4 && bytes[0]! > 0) assert(splitter.broken);
    }),
  );
});
