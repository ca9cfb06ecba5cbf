import assert from "node:assert/strict";
import * as fc from "fast-check";
import { summarize } from "./statistics.ts";

Deno.test("the median is the middle sample, or the mean of the two in the middle", () => {
  assert.deepEqual(summarize([9, 1, 5]), { median: 5, min: 1, max: 9, n: 3 });
  assert.deepEqual(summarize([4, 10, 1, 2]), { median: 3, min: 1, max: 10, n: 4 });
});

Deno.test("samples are compared as numbers, not as text", () => {
  assert.equal(summarize([100, 9, 20]).median, 20);
});

Deno.test("values have four digits, and all of them where they are whole and large", () => {
  assert.equal(summarize([1.23456]).median, 1.235);
  assert.equal(summarize([123456.7]).median, 123457);
});

Deno.test("no samples have no summary", () => {
  assert.throws(() => summarize([]), RangeError);
});

Deno.test("the median lies between the least and the greatest, in whatever order they came", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 0 }), { minLength: 1 }), (samples) => {
    const { median, min, max, n } = summarize(samples);
    assert.ok(min <= median && median <= max);
    assert.equal(n, samples.length);
    assert.deepEqual(summarize(samples.toReversed()), { median, min, max, n });
  }));
});
