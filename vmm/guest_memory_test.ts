import assert from "node:assert/strict";
import fc from "fast-check";
import { GuestError } from "../ffi/errors.ts";
import { GuestMemory, type MemoryRegion } from "./guest_memory.ts";

const region = (base: number, size: number, ram = true): MemoryRegion => ({
  base,
  buffer: new ArrayBuffer(size),
  ram,
});

/** Two regions that touch, a hole, one above 4 GiB, and one that ends at 2^53. */
const LAYOUT = [
  { base: 0x1000, size: 0x1000 },
  { base: 0x2000, size: 0x800 },
  { base: 2 ** 32, size: 0x100 },
  { base: 2 ** 53 - 0x100, size: 0x100 },
];
const layout = () => new GuestMemory(LAYOUT.map(({ base, size }) => region(base, size)));

/** Numbers near the edges, and any at all. */
const numbers = fc.oneof(
  fc.constantFrom(...LAYOUT.flatMap(({ base, size }) => [base, base + size])).chain((edge) =>
    fc.integer({ min: -20, max: 20 }).map((d) => edge + d)
  ),
  fc.integer({ min: -20, max: 0x3000 }),
  fc.double(),
  fc.constantFrom(NaN, Infinity, -Infinity, 2 ** 64, 2 ** 64 - 8, -(2 ** 63), 0xffff_ffff),
);
const lengths = fc.oneof(
  fc.integer({ min: -4, max: 64 }),
  numbers,
);

Deno.test("a range is found only where one region holds all of it, whatever the numbers", () => {
  const memory = layout();
  fc.assert(
    fc.property(numbers, lengths, (address, length) => {
      const i = memory.find(address, length);
      // In whole numbers of any size, so that nothing can round or wrap.
      const whole = Number.isInteger(address) && Number.isInteger(length);
      const expected = !whole ? -1 : LAYOUT.findIndex(({ base, size }) => {
        const [from, to] = [BigInt(address), BigInt(address) + BigInt(length)];
        return length >= 0 && from >= BigInt(base) && to <= BigInt(base) + BigInt(size) &&
          from < BigInt(base) + BigInt(size);
      });
      if (whole) assert.equal(i, expected, `${address} + ${length}`);
      else if (i >= 0) {
        const { base, size } = LAYOUT[i]!;
        assert.ok(address >= base && address + length <= base + size);
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("an access that is not wholly inside one region throws and changes nothing", () => {
  fc.assert(
    fc.property(
      numbers,
      fc.integer({ min: 1, max: 64 }),
      (address, length) => {
        const memory = layout();
        const data = new Uint8Array(length).fill(0xff);
        const inside = memory.find(address, length) >= 0;
        if (inside && Number.isInteger(address)) {
          memory.write(address, data);
          assert.deepEqual(memory.read(address, length), data);
        } else {
          assert.throws(() => memory.write(address, data));
          const touched = memory.regions.some(({ buffer }) =>
            new Uint8Array(buffer).some((b) => b)
          );
          assert.equal(touched, false);
        }
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("regions may be given in any order, and a range over two that touch is refused", () => {
  const memory = new GuestMemory([region(0x2000, 0x1000), region(0x1000, 0x1000)]);
  assert.deepEqual(memory.regions.map(({ base }) => base), [0x1000, 0x2000]);
  memory.write(0x1ffe, Uint8Array.of(1, 2));
  assert.throws(() => memory.write(0x1ffe, Uint8Array.of(1, 2, 3)), (error) => {
    assert.ok(error instanceof GuestError);
    assert.equal(error.message, "Guest memory has no 3 bytes at 0x1ffe");
    assert.equal(error.hint, "memory is 0x1000-0x1fff, 0x2000-0x2fff");
    return true;
  });
});

Deno.test("words are little-endian at any alignment", () => {
  const memory = layout();
  memory.writeU32(0x1001, 0xfedc_ba98);
  assert.deepEqual([...memory.read(0x1001, 4)], [0x98, 0xba, 0xdc, 0xfe]);
  assert.equal(memory.readU32(0x1001), 0xfedc_ba98);
  assert.throws(() => memory.readU32(0x27fd), GuestError);
  assert.throws(() => memory.writeU32(-1, 0), GuestError);
});

Deno.test("bytes and view are the memory itself, read is a copy", () => {
  const memory = layout();
  const [live, copy] = [memory.bytes(0x1010, 4), memory.read(0x1010, 4)];
  memory.view(0x1010, 4).setUint8(0, 7);
  assert.deepEqual([live[0], copy[0]], [7, 0]);
});

Deno.test("what is not RAM is not counted as RAM", () => {
  const memory = new GuestMemory([region(0, 0x1000), region(0x1000, 0x800, false)]);
  assert.equal(memory.ramSize, 0x1000);
});
