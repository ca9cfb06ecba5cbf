import assert from "node:assert/strict";
import fc from "fast-check";
import { RecordRing } from "./record_ring.ts";

const BYTES = 16;

/** A writer and a reader of numbers. */
function ringOf(capacity: number, position = 0) {
  const ring = RecordRing.create(BYTES, capacity);
  new Int32Array(ring.buffer).fill(position | 0, 0, 2); // taken and put so far
  const view = new DataView(ring.buffer);
  return {
    put(value: number): boolean {
      const at = ring.reserve();
      if (at < 0) return false;
      view.setFloat64(at, value);
      ring.commit();
      return true;
    },
    take(most?: number): number[] {
      const values: number[] = [];
      ring.drain((at) => void values.push(view.getFloat64(at)), most);
      return values;
    },
    ring,
  };
}

Deno.test("records come out in the order in which they went in", () => {
  const { put, take } = ringOf(4);
  put(1);
  put(2);
  assert.deepEqual(take(), [1, 2]);
  assert.deepEqual(take(), []);
  for (const value of [3, 4, 5]) put(value);
  assert.deepEqual(take(2), [3, 4]);
  assert.deepEqual(take(), [5]);
});

Deno.test("what finds no room is lost and counted; what was there stays", () => {
  const { put, take, ring } = ringOf(4);
  assert.deepEqual([1, 2, 3, 4, 5, 6].map(put), [true, true, true, true, false, false]);
  assert.equal(ring.takeLost(), 2);
  assert.equal(ring.takeLost(), 0);
  assert.deepEqual(take(), [1, 2, 3, 4]);
  assert.equal(put(7), true);
  assert.deepEqual(take(), [7]);
});

Deno.test("a ring goes on beyond 2^32 records", () => {
  for (const position of [2 ** 31 - 2, 2 ** 32 - 2]) {
    const { put, take, ring } = ringOf(4, position);
    for (let value = 0; value < 5; value++) put(value);
    assert.deepEqual(take(), [0, 1, 2, 3]);
    assert.equal(ring.takeLost(), 1);
  }
});

Deno.test("a record is wished for once, until it is given", () => {
  const { ring } = ringOf(4);
  assert.equal(ring.wanted, false);
  assert.deepEqual([ring.want(), ring.want(), ring.wanted], [true, false, true]);
  ring.given();
  assert.deepEqual([ring.wanted, ring.want()], [false, true]);
});

Deno.test("a ring is a queue of so many records, whatever the order of writes and reads", () => {
  fc.assert(fc.property(
    fc.array(fc.oneof(fc.constant("put" as const), fc.nat(10))),
    fc.constantFrom(0, 2 ** 31 - 5, 2 ** 32 - 5),
    (steps, position) => {
      const { put, take, ring } = ringOf(8, position);
      const model: number[] = [];
      let lost = 0;
      for (const [value, step] of steps.entries()) {
        if (step === "put") {
          const room = model.length < 8;
          assert.equal(put(value), room);
          if (room) model.push(value);
          else lost++;
        } else assert.deepEqual(take(step), model.splice(0, step));
      }
      assert.equal(ring.takeLost(), lost);
    },
  ));
});
