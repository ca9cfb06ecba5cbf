import assert from "node:assert/strict";
import fc from "fast-check";
import { GuardedMemory } from "../../tests/guarded_memory.ts";
import { GuestMemory } from "../guest_memory.ts";
import { BufferChain } from "./chain.ts";
import { DmaMap } from "./dma.ts";
import { ProtocolError } from "./virtio_device.ts";

const SIZE = 0x1_0000;
const pieces = fc.array(
  fc.record({ address: fc.nat(SIZE - 200), length: fc.nat(200) }),
  { minLength: 1, maxLength: 20 },
);

/** A chain, and what its readable and writable bytes are, by address. */
function build(
  memory: GuestMemory,
  readable: readonly { address: number; length: number }[],
  writable: readonly { address: number; length: number }[],
) {
  const chain = new BufferChain(new DmaMap(memory));
  for (const { address, length } of readable) chain.add(address, length, false);
  for (const { address, length } of writable) chain.add(address, length, true);
  const addresses = (list: typeof readable) =>
    list.flatMap(({ address, length }) => Array.from({ length }, (_, i) => address + i));
  return { chain, readable: addresses(readable), writable: addresses(writable) };
}

Deno.test("numbers and copies read over descriptors' borders", () => {
  const buffer = new ArrayBuffer(SIZE);
  const memory = new GuestMemory([{ base: 0, buffer, ram: true }]);
  const bytes = new Uint8Array(buffer).map((_, i) => (i * 7919) >> 3);
  new Uint8Array(buffer).set(bytes);
  fc.assert(
    fc.property(pieces, pieces, fc.array(fc.nat(4000)), (readable, writable, offsets) => {
      const { chain, readable: at } = build(memory, readable, writable);
      const expected = Uint8Array.from(at, (address) => bytes[address]!);
      const view = new DataView(expected.buffer);
      assert.equal(chain.readable, expected.length);
      for (const offset of offsets) {
        const number = (length: number, read: () => number, want: () => number) => {
          if (offset + length > expected.length) assert.throws(read, ProtocolError);
          else assert.equal(read(), want());
        };
        number(1, () => chain.readU8(offset), () => view.getUint8(offset));
        number(2, () => chain.readU16(offset), () => view.getUint16(offset, true));
        number(4, () => chain.readU32(offset), () => view.getUint32(offset, true));
        number(
          8,
          () => chain.readU64(offset),
          () => view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32,
        );
        const copy = new Uint8Array(300);
        const count = chain.read(offset, copy);
        assert.deepEqual(copy.slice(0, count), expected.slice(offset, offset + 300));
        const views = chain.readableViews(offset, 500);
        assert.deepEqual(
          Uint8Array.from(views.flatMap((piece) => [...piece])),
          expected.slice(offset, offset + 500),
        );
      }
    }),
    { numRuns: 100 },
  );
});

Deno.test("what is written lands where the descriptors say, and nowhere else", () => {
  fc.assert(
    fc.property(pieces, fc.uint8Array({ maxLength: 600 }), fc.nat(2000), (writable, data, from) => {
      const buffer = new ArrayBuffer(SIZE);
      const memory = new GuestMemory([{ base: 0, buffer, ram: true }]);
      const { chain, writable: at } = build(memory, [{ address: 0, length: 9 }], writable);
      const expected = new Uint8Array(SIZE);
      const count = Math.max(0, Math.min(data.length, at.length - from));
      for (let i = 0; i < count; i++) expected[at[from + i]!] = data[i]!;
      assert.equal(chain.write(from, data), count);
      assert.deepEqual(new Uint8Array(buffer), expected);
      const put = (length: number, write: () => void, bytes: readonly number[]) => {
        if (from + length > at.length) return assert.throws(write, ProtocolError);
        write();
        bytes.forEach((byte, i) => expected[at[from + i]!] = byte);
        assert.deepEqual(new Uint8Array(buffer), expected);
      };
      put(1, () => chain.writeU8(from, 0x91), [0x91]);
      put(2, () => chain.writeU16(from, 0x8182), [0x82, 0x81]);
      put(4, () => chain.writeU32(from, 0xf172_7374), [0x74, 0x73, 0x72, 0xf1]);
      put(8, () => chain.writeU64(from, 0x1a_6162_6364_6566), [
        ...[0x66, 0x65, 0x64, 0x63],
        ...[0x62, 0x61, 0x1a, 0],
      ]);
    }),
    { numRuns: 100 },
  );
});

Deno.test("iovecs name the same bytes by this process's addresses", () => {
  using guarded = new GuardedMemory([{ base: 0, size: SIZE }, { base: 2 ** 32, size: SIZE }]);
  const [low, high] = guarded.guest.regions.map(({ host }) => host!);
  const { chain } = build(
    guarded.guest,
    [{ address: 16, length: 4 }, { address: 2 ** 32 + 5, length: 10 }],
    [{ address: 0, length: 1 }, { address: 100, length: 50 }],
  );
  const target = new Uint32Array(12);
  const entries = () =>
    Array.from({ length: 3 }, (_, i) => [
      target[4 * i]! + target[4 * i + 1]! * 2 ** 32,
      target[4 * i + 2]! + target[4 * i + 3]! * 2 ** 32,
    ]);
  assert.equal(chain.readableIovecs(1, 100, target), 2);
  assert.deepEqual(entries().slice(0, 2), [[low! + 17, 3], [high! + 5, 10]]);
  assert.equal(chain.writableIovecs(0, 11, target, 1), 2);
  assert.deepEqual(entries().slice(1), [[low!, 1], [low! + 100, 10]]);
  assert.equal(chain.writableIovecs(0, 11, target, 2), 1, "the target is full");
  assert.equal(chain.writableIovecs(51, 11, target), 0);
});

Deno.test("never more than 1024 iovecs", () => {
  using guarded = new GuardedMemory([{ base: 0, size: SIZE }]);
  const piece = { address: 0, length: 1 };
  const { chain } = build(guarded.guest, Array(2000).fill(piece), []);
  const target = new Uint32Array(4 * 2000);
  assert.equal(chain.readableIovecs(0, 2000, target), 1024);
  assert.equal(chain.readableIovecs(0, 2000, target, 1000), 24);
});

Deno.test("memory without an address in this process has no iovecs", () => {
  const memory = new GuestMemory([{ base: 0, buffer: new ArrayBuffer(64), ram: true }]);
  const { chain } = build(memory, [{ address: 0, length: 8 }], []);
  assert.throws(() => chain.readableIovecs(0, 8, new Uint32Array(4)), /no address/);
});
