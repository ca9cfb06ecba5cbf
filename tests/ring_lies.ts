/**
 * What a driver may write into a ring that no device can work with, and what is said of it: for tests of
 * the queue, and of devices behind each transport.
 *
 * @module
 */
import type { GuestMemory } from "../vmm/guest_memory.ts";
import { DescFlag, type RequestParts, type VirtioDriver } from "./virtio_driver.ts";

const { NEXT, WRITE, INDIRECT } = DescFlag;
const RAM = 0x10_0000;
const HIGH_END = 2 ** 32 + 2 ** 20;

/** Who tells it: a driver of 8 descriptors, in memory that ends at `end`, and at 4 GiB + 1 MiB. */
export interface LyingGuest {
  readonly driver: VirtioDriver;
  readonly memory: GuestMemory;
  /** Where the first region, which begins at 0, ends. */
  readonly end: number;
  /** A request that is answered. Default `{ write: [1] }`. */
  readonly request?: RequestParts;
  /** Has the queue worked. */
  work(): void;
}

/** What a driver does, and what is said of it. */
export interface RingLie {
  readonly name: string;
  /** Makes it available, without a notification. */
  readonly tell: (guest: LyingGuest) => void;
  readonly message: RegExp;
  /** A feature that the driver has not chosen. */
  readonly without?: number;
}

/** Makes a chain of descriptor 0, as it is given, available. */
function lend(driver: VirtioDriver, descriptor: { length?: number; address?: number }, flags = 0) {
  driver.setDescriptor(0, { address: RAM, length: 16, ...descriptor, flags }, 1);
  driver.makeAvailable(0);
}

function table(
  { driver, memory }: LyingGuest,
  entries: readonly (readonly [address: number, length: number, flags: number, next: number])[],
) {
  const address = driver.heap.take(16 * entries.length);
  const view = memory.view(address, 16 * entries.length);
  entries.forEach(([at, length, flags, next], i) => {
    view.setBigUint64(16 * i, BigInt(at), true);
    view.setUint32(16 * i + 8, length, true);
    view.setUint16(16 * i + 12, flags, true);
    view.setUint16(16 * i + 14, next, true);
  });
  driver.setDescriptor(0, { address, length: 16 * entries.length, flags: INDIRECT });
  driver.makeAvailable(0);
}

/** All of them. */
export const RING_LIES: readonly RingLie[] = [
  ...[9, 65535, 40_000].map((idx) => ({
    name: `an available index of ${idx}`,
    tell: ({ driver }: LyingGuest) => void (driver.availIdx = idx),
    message: /by more than its 8 descriptors/,
  })),
  {
    name: "an available index that goes back",
    tell: ({ driver, work, request = { write: [1] } }) => {
      for (let i = 0; i < 2; i++) driver.add(request);
      work();
      driver.availIdx = 1;
    },
    message: /went from 2 to 1/,
  },
  {
    name: "a head that is no descriptor",
    tell: ({ driver }) => driver.makeAvailable(8),
    message: /descriptor 8 of 8/,
  },
  {
    name: "a next that is no descriptor",
    tell: ({ driver }) => {
      driver.setDescriptor(0, { address: RAM, length: 1 }, 0xffff);
      driver.makeAvailable(0);
    },
    message: /descriptor 65535 of 8/,
  },
  {
    name: "a descriptor that follows itself",
    tell: ({ driver }) => {
      driver.setDescriptor(0, { address: RAM, length: 1 }, 0);
      driver.makeAvailable(0);
    },
    message: /in a loop/,
  },
  {
    name: "two descriptors that follow each other, empty ones",
    tell: ({ driver }) => {
      driver.setDescriptor(0, { address: RAM, length: 0 }, 1);
      driver.setDescriptor(1, { address: RAM, length: 0 }, 0);
      driver.makeAvailable(0);
    },
    message: /in a loop/,
  },
  {
    name: "a readable descriptor behind a writable one",
    tell: ({ driver }) => {
      driver.setDescriptor(0, { address: RAM, length: 4, flags: WRITE }, 1);
      driver.setDescriptor(1, { address: RAM, length: 4 });
      driver.makeAvailable(0);
    },
    message: /readable descriptor follows/,
  },
  ...([
    ["1 byte behind the end", (end) => ({ address: end, length: 1 })],
    ["2 bytes over the end", (end) => ({ address: end - 1, length: 2 })],
    ["from a hole into memory", () => ({ address: 2 ** 32 - 1, length: 2 })],
    ["1 byte behind the second region", () => ({ address: HIGH_END, length: 1 })],
    ["2^32 - 1 bytes", () => ({ address: 0, length: 2 ** 32 - 1 })],
    ["1 byte at 2^53", () => ({ address: 2 ** 53, length: 1 })],
    ["up to 2^64", () => ({ address: 2 ** 64 - 4096, length: 4096 })],
    ["over 2^64", () => ({ address: 2 ** 64 - 4096, length: 8192 })],
  ] satisfies [string, (end: number) => { address: number; length: number }][]).flatMap(
    ([name, place]) =>
      [0, WRITE].map((flags) => ({
        name: `${flags === 0 ? "a readable" : "a writable"} descriptor, ${name}`,
        tell: ({ driver, end }: LyingGuest) => lend(driver, place(end), flags),
        message: /are not in guest memory/,
      })),
  ),
  {
    name: "an indirect table that was not negotiated",
    tell: ({ driver }) => lend(driver, {}, INDIRECT),
    message: /was not negotiated/,
    without: 28,
  },
  {
    name: "an indirect table with a next",
    tell: ({ driver }) => lend(driver, {}, INDIRECT | NEXT),
    message: /follows an indirect table/,
  },
  ...[0, 8, 17, 65536 * 16].map((length) => ({
    name: `an indirect table of ${length} bytes`,
    tell: ({ driver }: LyingGuest) => {
      driver.setDescriptor(0, { address: 0, length, flags: INDIRECT });
      driver.makeAvailable(0);
    },
    message: /an indirect table of/,
  })),
  ...([
    ["over the end", (end) => end - 8],
    ["at the end of addresses", () => 2 ** 64 - 2048],
    ["in a hole", () => 0xffff_fff8],
  ] satisfies [string, (end: number) => number][]).map(([name, place]) => ({
    name: `an indirect table ${name}`,
    tell: ({ driver, end }: LyingGuest) => {
      driver.setDescriptor(0, { address: place(end), length: 16, flags: INDIRECT });
      driver.makeAvailable(0);
    },
    message: /table at .* is not in guest memory/,
  })),
  {
    name: "an indirect table in another",
    tell: (guest) => table(guest, [[RAM, 16, INDIRECT, 0]]),
    message: /in another/,
  },
  {
    name: "an entry behind a table's end",
    tell: (guest) => table(guest, [[RAM, 16, NEXT, 1]]),
    message: /entry 1 of 1/,
  },
  {
    name: "a loop in a table",
    tell: (guest) => table(guest, [[RAM, 16, NEXT, 1], [RAM, 16, NEXT, 0]]),
    message: /in a loop/,
  },
  {
    name: "a readable entry behind a writable one",
    tell: (guest) => table(guest, [[RAM, 16, NEXT | WRITE, 1], [RAM, 16, 0, 0]]),
    message: /readable descriptor follows/,
  },
];
