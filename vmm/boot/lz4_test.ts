import { deepEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { ImageError } from "../../ffi/errors.ts";
import { decompressLz4 } from "./lz4.ts";
import { joined, patterned } from "../../tests/sample_images.ts";

const options = { limit: 1 << 20, where: "kernel: payload" };
const word = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const MAGIC = word(0x184c2102);
const frame = (...blocks: Uint8Array[]) =>
  joined(MAGIC, ...blocks.flatMap((block) => [word(block.length), block]));

/** A block of literals only. */
function literals(data: Uint8Array): Uint8Array {
  if (data.length < 15) return joined(Uint8Array.of(data.length << 4), data);
  const rest = data.length - 15;
  const more = new Uint8Array(Math.floor(rest / 255) + 1).fill(255);
  more[more.length - 1] = rest % 255;
  return joined(Uint8Array.of(0xf0), more, data);
}

Deno.test("a legacy frame of several blocks, and two frames, unpack", () => {
  const data = [patterned(10), patterned(300), patterned(15)];
  const one = frame(...data.map(literals));
  deepEqual(decompressLz4(one, options), joined(...data));
  deepEqual(decompressLz4(joined(one, one), options), joined(...data, ...data));
  deepEqual(decompressLz4(one, { ...options, size: 325 }), joined(...data));
});

Deno.test("matches copy from what is there, and repeat it where they overlap", () => {
  for (const distance of [1, 2, 3, 64]) {
    for (const length of [4, 18, 19, 60, 64, 500]) {
      const head = patterned(64);
      const token = Uint8Array.of(0xf0 | Math.min(length - 4, 15), 64 - 15);
      const rest = length - 19;
      const extra = rest < 0
        ? new Uint8Array()
        : Uint8Array.of(...Array(Math.floor(rest / 255)).fill(255), rest % 255);
      const block = joined(token, head, Uint8Array.of(distance, 0), extra, Uint8Array.of(0x10, 42));
      const want = [...head];
      for (let i = 0; i < length; i++) want.push(want[want.length - distance]!);
      deepEqual([...decompressLz4(frame(block), options)], [...want, 42]);
    }
  }
});

Deno.test("damage is told with its place, and the limit holds", () => {
  const good = frame(literals(patterned(100)));
  throws(() => decompressLz4(good.subarray(0, 50), options), /block of 102 bytes is outside/);
  throws(() => decompressLz4(joined(good, Uint8Array.of(1)), options), /block has no length/);
  throws(() => decompressLz4(good, { ...options, limit: 99 }), /more than the 99 bytes allowed/);
  throws(
    () => decompressLz4(frame(Uint8Array.of(0x10, 1, 5, 0, 0)), options),
    /offset points outside its block \(byte 0xa of the payload\)/,
  );
  throws(() => decompressLz4(frame(Uint8Array.of(0xff, 0xff)), options), /inside a length/);
  // A run of one byte over the whole limit: what a bomb looks like.
  const bomb = frame(joined(
    Uint8Array.of(0x1f, 0, 1, 0),
    new Uint8Array(8000).fill(255),
    Uint8Array.of(0, 0x10, 1),
  ));
  throws(() => decompressLz4(bomb, options), /more than the 1048576 bytes allowed/);
});

Deno.test("any bytes give bytes or an ImageError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    try {
      decompressLz4(frame(bytes), options);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
    }
  }));
});
