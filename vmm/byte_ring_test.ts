import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteRing } from "./byte_ring.ts";

const CAPACITY = 16_384;
/** What still fits when the ring stops being ready. */
const RESERVE = 8192;
const HEAD = 0;
const TAIL = 1;

/** A ring that starts when `counter` bytes have gone through it. */
function open(counter = 0, offset = 0) {
  const buffer = new SharedArrayBuffer(offset + ByteRing.sizeFor(CAPACITY) + 16);
  const words = new Int32Array(buffer, offset);
  words[HEAD] = counter | 0;
  words[TAIL] = counter | 0;
  return { buffer, ring: new ByteRing(buffer, offset, CAPACITY) };
}

function fill(ring: ByteRing, count: number, first = 0) {
  for (let i = 0; i < count; i++) ring.write((first + i) % 256);
}

function counting(count: number, first = 0) {
  return Uint8Array.from({ length: count }, (_, i) => (first + i) % 256);
}

Deno.test("a byte ring gives its bytes in order, and each once", () => {
  const { ring } = open();
  assert.deepEqual(ring.take(), new Uint8Array(0));
  fill(ring, 1000);
  assert.equal(ring.length, 1000);
  assert.deepEqual(ring.take(), counting(1000));
  assert.equal(ring.length, 0);
  assert.deepEqual(ring.take(), new Uint8Array(0));
});

Deno.test("a byte ring wraps around its end", () => {
  const { ring } = open();
  for (let round = 0; round < 10; round++) {
    fill(ring, 10_000, round);
    assert.deepEqual(ring.take(), counting(10_000, round));
  }
});

Deno.test("a byte ring goes on when its counters pass 2^31 and 2^32", () => {
  for (const counter of [2 ** 31, 2 ** 32]) {
    for (const before of [1, 100, CAPACITY - 1, CAPACITY]) {
      const { ring } = open(counter - before);
      fill(ring, CAPACITY);
      assert.equal(ring.length, CAPACITY);
      assert.equal(ring.ready, false);
      ring.write(0xee);
      assert.equal(ring.dropped, 1);
      assert.deepEqual(ring.take(), counting(CAPACITY));
      fill(ring, 10);
      assert.deepEqual(ring.take(), counting(10));
    }
  }
});

Deno.test("a byte ring stops being ready while 8192 bytes still fit, and drops beyond them", () => {
  const { ring } = open();
  fill(ring, CAPACITY - RESERVE - 1);
  assert.equal(ring.ready, true);
  ring.write(0);
  assert.equal(ring.ready, false);
  fill(ring, RESERVE);
  assert.equal(ring.dropped, 0);
  fill(ring, 5);
  assert.equal(ring.dropped, 5);
  assert.equal(ring.length, CAPACITY);
  assert.equal(ring.take().length, CAPACITY);
  assert.equal(ring.ready, true);
  ring.write(1);
  assert.equal(ring.dropped, 5);
});

Deno.test("a byte ring's count of dropped bytes is unsigned", () => {
  const { buffer, ring } = open();
  new Int32Array(buffer)[2] = -1;
  assert.equal(ring.dropped, 2 ** 32 - 1);
});

Deno.test("a byte ring writes only inside its own memory", () => {
  const { buffer, ring } = open(2 ** 32 - 7, 64);
  fill(ring, CAPACITY + 100, 1);
  ring.take();
  fill(ring, CAPACITY, 1);
  const all = new Uint8Array(buffer);
  assert.ok(all.subarray(0, 64).every((byte) => byte === 0));
  assert.ok(all.subarray(64 + ByteRing.sizeFor(CAPACITY)).every((byte) => byte === 0));
});

Deno.test("two views of one buffer are one ring, and what was taken stays a copy", () => {
  const { buffer, ring } = open();
  const reader = new ByteRing(buffer, 0, CAPACITY);
  ring.write(0x41);
  const taken = reader.take();
  fill(ring, CAPACITY);
  assert.deepEqual(taken, Uint8Array.of(0x41));
  assert.equal(reader.length, CAPACITY);
});

Deno.test("a byte ring behaves as a bounded queue, whatever the order of calls", () => {
  const step = fc.oneof(fc.nat({ max: 2 * CAPACITY }), fc.constant(undefined));
  const start = fc.constantFrom(0, 2 ** 31 - 9000, 2 ** 32 - 9000);
  fc.assert(
    fc.property(start, fc.array(step, { maxLength: 10 }), (counter, steps) => {
      const { ring } = open(counter);
      let model: number[] = [];
      let dropped = 0;
      let next = 0;
      for (const writes of steps) {
        if (writes === undefined) {
          assert.deepEqual(ring.take(), Uint8Array.from(model));
          model = [];
          continue;
        }
        for (let i = 0; i < writes; i++, next++) {
          ring.write(next % 256);
          if (model.length < CAPACITY) model.push(next % 256);
          else dropped++;
        }
        assert.equal(ring.length, model.length);
        assert.equal(ring.dropped, dropped);
        assert.equal(ring.ready, model.length < CAPACITY - RESERVE);
      }
    }),
    { numRuns: 50 },
  );
});

Deno.test("bytes put together are what they are one by one, what is lost too", () => {
  fc.assert(fc.property(
    fc.integer({ min: 0, max: 2 ** 32 }),
    fc.array(fc.integer({ min: 0, max: 4096 }), { maxLength: 8 }),
    (counter, sizes) => {
      const [one, all] = [open(counter).ring, open(counter).ring];
      for (const [i, size] of sizes.entries()) {
        for (const byte of counting(size, i)) one.write(byte);
        all.writeAll(counting(size, i));
        assert.deepEqual([all.length, all.dropped], [one.length, one.dropped]);
      }
      assert.deepEqual(all.take(), one.take());
    },
  ));
});
