import assert from "node:assert/strict";
import { QueueRig } from "../../tests/queue_rig.ts";
import { RING_LIES } from "../../tests/ring_lies.ts";
import { ProtocolError } from "./virtio_device.ts";

const MIB = 2 ** 20;
const END = 4 * MIB;
const RAM = 0x10_0000;

for (const { name, tell, message, without } of RING_LIES) {
  Deno.test(`ring: ${name}`, () => {
    using rig = new QueueRig({ features: [28, 29].filter((feature) => feature !== without) });
    const queue = rig.open();
    const work = () => {
      for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) queue.push(chain, 0);
    };
    tell({ driver: rig.driver, memory: rig.guarded.guest, end: END, work });
    const before = new Uint8Array(rig.guarded.guest.read(0, END));
    const lie = (error: unknown) => error instanceof ProtocolError && message.test(error.message);
    assert.throws(() => queue.pop(), lie);
    assert.throws(() => queue.pop(), lie, "it is as much of a lie the second time");
    assert(rig.guarded.intact);
    // But for avail_event, which the device may write at any time, nothing has changed.
    const used = rig.driver.used;
    const after = rig.guarded.guest.read(0, END);
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
  rig.driver.setDescriptor(0, { address: RAM, length: 16 });
  for (let i = 0; i < 8; i++) rig.driver.makeAvailable(0);
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
