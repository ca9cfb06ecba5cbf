import "../../../tests/c_library.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { IovecTable } from "./iovec_table.ts";

const TAGS = 3;

interface Vector {
  address: number;
  length: number;
}

/** A tag's row or another array's start, as vectors. */
function vectors(words: Uint32Array, first: number, count: number): Vector[] {
  return Array.from({ length: count }, (_, i) => {
    const at = (first + i) * 4;
    return {
      address: words[at]! + words[at + 1]! * 2 ** 32,
      length: words[at + 2]! + words[at + 3]! * 2 ** 32,
    };
  });
}

function fill(table: IovecTable, tag: number, list: readonly Vector[]): void {
  list.forEach(({ address, length }, i) => {
    const words = [address % 2 ** 32, address / 2 ** 32, length % 2 ** 32, length / 2 ** 32];
    table.rows[tag]!.set(words.map(Math.floor), 4 * i);
  });
  table.counts[tag] = list.length;
}

/** The bytes' addresses, one after the other. */
const bytesOf = (list: readonly Vector[]) =>
  list.flatMap(({ address, length }) => Array.from({ length }, (_, i) => address + i));

const row = fc.array(
  fc.record(
    { address: fc.nat({ max: 2 ** 40 }), length: fc.integer({ min: 1, max: 40 }) },
    { noNullPrototype: true },
  ),
  { minLength: 1, maxLength: 12 },
);

Deno.test("a part of a row names the same bytes, whatever is left out", () => {
  const table = new IovecTable(TAGS);
  fc.assert(fc.property(row, fc.nat(), fc.nat(), fc.nat(TAGS - 1), (list, a, b, tag) => {
    fill(table, tag, list);
    const bytes = bytesOf(list);
    const skip = a % bytes.length;
    const length = 1 + b % (bytes.length - skip);
    const count = table.part(tag, skip, length);
    const part = vectors(table.words, table.first(TAGS + tag), count);
    assert.deepEqual(bytesOf(part), bytes.slice(skip, skip + length));
    assert.deepEqual(vectors(table.words, table.first(tag), list.length), list, "the row stays");
    assert.equal(table.holds(tag, list.length, bytes.length), true);
    assert.equal(table.holds(tag, list.length, bytes.length - 1), false);
  }));
});

Deno.test("a copy stops where its target ends", () => {
  const table = new IovecTable(1);
  fill(table, 0, [{ address: 10, length: 5 }, { address: 20, length: 5 }, {
    address: 30,
    length: 5,
  }]);
  const target = new Uint32Array(2 * 4);
  assert.equal(table.copy(0, 2, 100, target, 0), 2);
  assert.deepEqual(vectors(target, 0, 2), [{ address: 12, length: 3 }, { address: 20, length: 5 }]);
  assert.equal(table.copy(0, 0, 100, target, 2), 2);
});

Deno.test("the same memory over and over, with a shorter piece at the end", () => {
  const table = new IovecTable(TAGS);
  assert.equal(table.repeat(1, 2 ** 40, 100, 250), 3);
  assert.deepEqual(vectors(table.words, table.first(TAGS + 1), 3), [
    { address: 2 ** 40, length: 100 },
    { address: 2 ** 40, length: 100 },
    { address: 2 ** 40, length: 50 },
  ]);
});

Deno.test("a row is aligned if all its addresses and lengths are", () => {
  const table = new IovecTable(1);
  const check = (list: Vector[]) => (fill(table, 0, list), table.aligned(0, 511));
  assert.equal(check([{ address: 512, length: 1024 }, { address: 2 ** 40, length: 512 }]), true);
  assert.equal(
    check([{ address: 512, length: 1024 }, { address: 2 ** 40 + 8, length: 512 }]),
    false,
  );
  assert.equal(check([{ address: 512, length: 100 }]), false);
});
