import assert from "node:assert/strict";
import { QueueRig } from "../../tests/queue_rig.ts";
import { DescFlag, type VirtioDriver } from "../../tests/virtio_driver.ts";
import { ProtocolError } from "./virtio_device.ts";

const MIB = 2 ** 20;
const { NEXT, WRITE, INDIRECT } = DescFlag;
const RAM = 0x10_0000;

/** What a driver does, and what is said of it. */
interface Lie {
  readonly name: string;
  readonly tell: (driver: VirtioDriver, rig: QueueRig) => void;
  readonly message: RegExp;
  readonly features?: readonly number[];
}

/** Makes a chain of descriptor 0, as it is given, available. */
function lend(driver: VirtioDriver, descriptor: { length?: number; address?: number }, flags = 0) {
  driver.setDescriptor(0, { address: RAM, length: 16, ...descriptor, flags }, 1);
  driver.makeAvailable(0);
}

function table(rig: QueueRig, entries: readonly (readonly [number, number, number, number])[]) {
  const address = rig.driver.heap.take(16 * entries.length);
  const view = rig.guarded.guest.view(address, 16 * entries.length);
  entries.forEach(([at, length, flags, next], i) => {
    view.setBigUint64(16 * i, BigInt(at), true);
    view.setUint32(16 * i + 8, length, true);
    view.setUint16(16 * i + 12, flags, true);
    view.setUint16(16 * i + 14, next, true);
  });
  rig.driver.setDescriptor(0, { address, length: 16 * entries.length, flags: INDIRECT });
  rig.driver.makeAvailable(0);
}

const CONTENT: readonly Lie[] = [
  ...[9, 65535, 40_000].map((idx) => ({
    name: `an available index of ${idx}`,
    tell: (driver: VirtioDriver) => driver.availIdx = idx,
    message: /by more than its 8 descriptors/,
  })),
  {
    name: "an available index that goes back",
    tell: (driver, rig) => {
      const queue = rig.open();
      for (let i = 0; i < 4; i++) {
        driver.add({ write: [1] });
        queue.push(queue.pop()!, 0);
      }
      driver.availIdx = 3;
    },
    message: /went from 4 to 3/,
  },
  {
    name: "a head that is no descriptor",
    tell: (driver) => driver.makeAvailable(8),
    message: /descriptor 8 of 8/,
  },
  {
    name: "a next that is no descriptor",
    tell: (driver) => {
      driver.setDescriptor(0, { address: RAM, length: 1 }, 0xffff);
      driver.makeAvailable(0);
    },
    message: /descriptor 65535 of 8/,
  },
  {
    name: "a descriptor that follows itself",
    tell: (driver) => {
      driver.setDescriptor(0, { address: RAM, length: 1 }, 0);
      driver.makeAvailable(0);
    },
    message: /in a loop/,
  },
  {
    name: "two descriptors that follow each other, empty ones",
    tell: (driver) => {
      driver.setDescriptor(0, { address: RAM, length: 0 }, 1);
      driver.setDescriptor(1, { address: RAM, length: 0 }, 0);
      driver.makeAvailable(0);
    },
    message: /in a loop/,
  },
  {
    name: "a readable descriptor behind a writable one",
    tell: (driver) => {
      driver.setDescriptor(0, { address: RAM, length: 4, flags: WRITE }, 1);
      driver.setDescriptor(1, { address: RAM, length: 4 });
      driver.makeAvailable(0);
    },
    message: /readable descriptor follows/,
  },
  ...[
    { address: 4 * MIB, length: 1 },
    { address: 4 * MIB - 1, length: 2 },
    { address: 2 ** 32 - 1, length: 2 },
    { address: 2 ** 32 + MIB, length: 1 },
    { address: 0, length: 2 ** 32 - 1 },
    { address: 2 ** 53, length: 1 },
    { address: 2 ** 64 - 4096, length: 4096 },
    { address: 2 ** 64 - 4096, length: 8192 },
  ].map((descriptor) => ({
    name: `${descriptor.length} bytes at 0x${descriptor.address.toString(16)}`,
    tell: (driver: VirtioDriver) => lend(driver, descriptor),
    message: /are not in guest memory/,
  })),
  {
    name: "an indirect table that was not negotiated",
    tell: (driver) => lend(driver, {}, INDIRECT),
    message: /was not negotiated/,
    features: [29],
  },
  {
    name: "an indirect table with a next",
    tell: (driver) => lend(driver, {}, INDIRECT | NEXT),
    message: /follows an indirect table/,
  },
  ...[0, 8, 17, 65536 * 16].map((length) => ({
    name: `an indirect table of ${length} bytes`,
    tell: (driver: VirtioDriver) => {
      driver.setDescriptor(0, { address: 0, length, flags: INDIRECT });
      driver.makeAvailable(0);
    },
    message: /an indirect table of/,
  })),
  ...[4 * MIB - 8, 2 ** 64 - 2048, 0xffff_fff8].map((address) => ({
    name: `an indirect table at 0x${address.toString(16)}`,
    tell: (driver: VirtioDriver) => {
      driver.setDescriptor(0, { address, length: 16, flags: INDIRECT });
      driver.makeAvailable(0);
    },
    message: /table at .* is not in guest memory/,
  })),
  {
    name: "an indirect table in another",
    tell: (_driver, rig) => table(rig, [[RAM, 16, INDIRECT, 0]]),
    message: /in another/,
  },
  {
    name: "an entry behind a table's end",
    tell: (_driver, rig) => table(rig, [[RAM, 16, NEXT, 1]]),
    message: /entry 1 of 1/,
  },
  {
    name: "a loop in a table",
    tell: (_driver, rig) => table(rig, [[RAM, 16, NEXT, 1], [RAM, 16, NEXT, 0]]),
    message: /in a loop/,
  },
  {
    name: "a readable entry behind a writable one",
    tell: (_driver, rig) => table(rig, [[RAM, 16, NEXT | WRITE, 1], [RAM, 16, 0, 0]]),
    message: /readable descriptor follows/,
  },
];

for (const { name, tell, message, features } of CONTENT) {
  Deno.test(`ring: ${name}`, () => {
    using rig = new QueueRig(features === undefined ? {} : { features });
    tell(rig.driver, rig);
    const queue = rig.open();
    const before = new Uint8Array(rig.guarded.guest.read(0, 4 * MIB));
    const lie = (error: unknown) => error instanceof ProtocolError && message.test(error.message);
    assert.throws(() => queue.pop(), lie);
    assert.throws(() => queue.pop(), lie, "it is as much of a lie the second time");
    assert(rig.guarded.intact);
    // But for avail_event, which the device may write at any time, nothing has changed.
    const used = rig.driver.used;
    const after = rig.guarded.guest.read(0, 4 * MIB);
    after.fill(0, used, used + 6 + 8 * 8);
    before.fill(0, used, used + 6 + 8 * 8);
    assert.deepEqual(after, before);
    rig.stop();
    rig.driver.reset();
    rig.place(8, rig.driver.desc, rig.driver.avail, rig.driver.used);
    rig.driver.add({ write: [7] });
    assert.equal(queue.pop()!.writable, 7, "a reset brings it back");
  });
}

Deno.test("ring: a chain of more than 2^32 bytes", () => {
  using rig = new QueueRig({ size: 256, memory: [{ base: 0, size: 32 * MIB }] });
  const queue = rig.open();
  const piece = { address: 16 * MIB, length: 16 * MIB };
  rig.driver.add({ write: Array(255).fill(piece) });
  assert.equal(queue.pop()!.writable, 255 * 16 * MIB);
  rig.driver.add({ write: Array(256).fill(piece), indirect: true });
  const longest = queue.pop()!;
  assert.equal(longest.writable, 2 ** 32);
  longest.writeU8(2 ** 32 - 1, 7);
  assert.equal(rig.guarded.guest.bytes(32 * MIB - 1, 1)[0], 7);
  rig.driver.reset();
  rig.place(256, rig.driver.desc, rig.driver.avail, rig.driver.used);
  rig.driver.add({ write: Array(257).fill(piece), indirect: true });
  assert.throws(() => queue.pop(), /longer than 2\^32/);
});

Deno.test("ring: one head many times is one chain many times", () => {
  using rig = new QueueRig();
  const queue = rig.open();
  for (let i = 0; i < 8; i++) lend(rig.driver, {}, 0);
  const chains = Array.from({ length: 8 }, () => queue.pop()!);
  assert.equal(new Set(chains).size, 8);
  for (const chain of chains) queue.push(chain, 0);
  assert.equal(rig.driver.usedIdx, 8);
});

Deno.test("ring: what a queue lends at once is bounded", () => {
  using rig = new QueueRig({ size: 32768 });
  const { driver } = rig;
  const queue = rig.open();
  for (let i = 0; i < 32768; i++) {
    driver.setDescriptor(i, { address: RAM, length: 1 }, i === 32767 ? undefined : i + 1);
  }
  for (let i = 0; i < 64; i++) driver.makeAvailable(0);
  assert.throws(() => {
    while (queue.pop() !== undefined);
  }, /at once/);
});

Deno.test("ring: descriptors that change while they are used don't change the chain", () => {
  using rig = new QueueRig();
  const request = rig.driver.add({ write: [4] });
  const queue = rig.open();
  const chain = queue.pop()!;
  rig.driver.setDescriptor(request.head, { address: 2 ** 40, length: 2 ** 31 });
  chain.writeU32(0, 0x0102_0304);
  assert.equal(chain.write(0, new Uint8Array(100)), 4);
  queue.push(chain, 4);
  assert.equal(rig.driver.collect()[0]?.written, 4);
});

Deno.test("ring: any used_event is as good as another", () => {
  using rig = new QueueRig();
  const queue = rig.open();
  for (const event of [0, 1, 7, 8, 255, 32767, 32768, 65535]) {
    rig.driver.usedEvent = event;
    rig.driver.add({ write: [4] });
    queue.push(queue.pop()!, 0);
    queue.signal();
    rig.driver.collect();
  }
  assert(rig.interrupts <= 8);
});

const END = 4 * MIB;
const SET_UP: readonly [name: string, size: number, desc: number, avail: number, used: number][] = [
  ["size 0", 0, 0, 0x1000, 0x2000],
  ["size 3", 3, 0, 0x1000, 0x2000],
  ["size 65535", 65535, 0, 0x1000, 0x2000],
  ["size 65536", 65536, 0, 0x1000, 0x2000],
  ["table at 8", 8, 8, 0x1000, 0x2000],
  ["available ring at an odd address", 8, 0, 0x1001, 0x2000],
  ["used ring at 2", 8, 0, 0x1000, 0x2002],
  ["table over the end of memory", 8, END - 112, 0x1000, 0x2000],
  ["available ring over the end of memory", 8, 0, END - 20, 0x2000],
  ["used ring over the end of memory", 8, 0, 0x1000, END - 68],
  ["table in a hole", 8, END + 0x1000, 0x1000, 0x2000],
  ["table from a hole into memory", 8, 2 ** 32 - 16, 0x1000, 0x2000],
  ["table that wraps 2^64", 256, 2 ** 64 - 2048, 0x1000, 0x2000],
  ["used ring at 2^63", 8, 0, 0x1000, 2 ** 63],
  ["used ring at 2^53 + 4", 8, 0, 0x1000, 2 ** 53 + 4],
];

for (const [name, size, desc, avail, used] of SET_UP) {
  Deno.test(`rings: ${name}`, () => {
    using rig = new QueueRig();
    rig.place(size, desc, avail, used);
    const queue = rig.open();
    assert.throws(() => queue.pop(), ProtocolError);
    assert.throws(() => queue.waiting, ProtocolError);
    assert.throws(() => queue.enableNotifications(), ProtocolError);
    assert(rig.guarded.intact);
  });
}

Deno.test("rings: exactly up to the end of memory is as good as anywhere", () => {
  for (const place of [0, 1, 2]) {
    using rig = new QueueRig();
    const lengths = [128, 22, 70] as const;
    const align = [16, 2, 4] as const;
    const at = [0x1000, 0x2000, 0x3000];
    at[place] = Math.floor((END - lengths[place]!) / align[place]!) * align[place]!;
    rig.place(8, at[0]!, at[1]!, at[2]!);
    const view = rig.guarded.guest.view(0, END);
    view.setUint32(at[0]! + 7 * 16, RAM, true);
    view.setUint32(at[0]! + 7 * 16 + 8, 33, true);
    for (let i = 0; i < 8; i++) view.setUint16(at[1]! + 4 + 2 * i, 7, true);
    view.setUint16(at[1]! + 2, 8, true);
    const queue = rig.open();
    for (let i = 0; i < 8; i++) {
      const chain = queue.pop()!;
      assert.equal(chain.readable, 33);
      queue.push(chain, 1);
    }
    assert.equal(queue.pop(), undefined);
    assert.equal(view.getUint16(at[2]! + 2, true), 8);
    assert(rig.guarded.intact);
  }
});

Deno.test("rings over each other and over data do harm to nobody else", () => {
  using rig = new QueueRig();
  for (const at of [0, 16, 64]) {
    rig.place(8, 0, at, 0);
    const queue = rig.open();
    try {
      for (let i = 0; i < 100; i++) {
        const chain = queue.pop();
        if (chain !== undefined) queue.push(chain, 0xffff_ffff);
      }
    } catch (error) {
      assert(error instanceof ProtocolError);
    }
    assert(rig.guarded.intact);
  }
});
