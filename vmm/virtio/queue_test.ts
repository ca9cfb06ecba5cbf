import assert from "node:assert/strict";
import fc from "fast-check";
import { QueueRig } from "../../tests/queue_rig.ts";
import { DescFlag } from "../../tests/virtio_driver.ts";
import { holdQueue, letQueueGo, resumeQueue } from "./queue_state.ts";
import { Feature } from "./virtio_device.ts";

Deno.test("chains are popped in order and pushed in any", () => {
  using rig = new QueueRig();
  const { driver } = rig;
  const queue = rig.open();
  const requests = [1, 2, 3].map((length) => driver.add({ write: [length] }));
  assert.equal(queue.waiting, 3);
  const chains = requests.map(() => queue.pop()!);
  assert.deepEqual(chains.map(({ writable }) => writable), [1, 2, 3]);
  assert.equal(queue.pop(), undefined);
  for (const i of [2, 0, 1]) {
    chains[i]!.writeU8(0, 40 + i);
    queue.push(chains[i]!, 1);
  }
  const used = driver.collect();
  assert.deepEqual(used.map(({ request }) => requests.indexOf(request)), [2, 0, 1]);
  assert.deepEqual(used.map(({ request }) => request.written()[0]), [42, 40, 41]);
});

Deno.test("a chain that is put back is popped again", () => {
  using rig = new QueueRig();
  const queue = rig.open();
  rig.driver.add({ write: [5] });
  rig.driver.add({ write: [6] });
  queue.unpop(queue.pop()!);
  assert.equal(queue.waiting, 2);
  assert.equal(queue.pop()!.writable, 5);
  assert.equal(queue.pop()!.writable, 6);
});

Deno.test("threads take turns on one queue, each with objects of its own", () => {
  using rig = new QueueRig();
  const threads = [rig.open(), rig.open(), rig.open()];
  for (let i = 0; i < 1000; i++) {
    const popping = threads[i % 3]!;
    rig.driver.add({ write: [i + 1] });
    const chain = popping.pop()!;
    assert.equal(chain.writable, i + 1);
    assert.equal(threads[(i + 1) % 3]!.pop(), undefined);
    popping.push(chain, i);
    threads[(i + 2) % 3]!.signal();
    assert.equal(rig.driver.collect()[0]?.written, i);
    assert.equal(rig.interrupts, i + 1);
  }
});

Deno.test("indices wrap at 65536, and a chain fills the whole queue", () => {
  for (const size of [1, 2, 256]) {
    using rig = new QueueRig({ size });
    const queue = rig.open();
    for (let done = 0; done < 66_000;) {
      const count = Math.min(size, 1 + done % 255);
      for (let i = 0; i < count; i++) rig.driver.add({ write: [1] });
      for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) queue.push(chain, 1);
      queue.signal();
      assert.equal(rig.driver.collect().length, count);
      done += count;
    }
    rig.driver.add({ write: Array(size).fill(3) });
    assert.equal(queue.pop()!.writable, 3 * size);
  }
});

Deno.test("a queue of 32768 descriptors works", () => {
  using rig = new QueueRig({ size: 32768 });
  const queue = rig.open();
  rig.driver.add({ write: Array(32768).fill(16) });
  const chain = queue.pop()!;
  assert.equal(chain.writableCount, 32768);
  assert.equal(chain.writable, 16 * 32768);
  queue.push(chain, 0);
  assert.equal(rig.driver.collect().length, 1);
});

Deno.test("popping and pushing use the same objects again", () => {
  using rig = new QueueRig();
  const queue = rig.open();
  const seen = new Set<unknown>();
  for (let i = 0; i < 100; i++) {
    rig.driver.add({ read: [new Uint8Array(3)], write: [4], indirect: i % 2 === 0 });
    const chain = queue.pop()!;
    seen.add(chain);
    queue.push(chain, 0);
    rig.driver.collect();
  }
  assert.equal(seen.size, 1);
});

Deno.test("a chain popped before a reset is dropped", () => {
  using rig = new QueueRig();
  const queue = rig.open();
  rig.driver.add({ write: [4] });
  const old = queue.pop()!;
  rig.stop();
  assert.equal(queue.ready, false);
  assert.equal(queue.pop(), undefined);
  assert.equal(queue.waiting, 0);
  queue.push(old, 4);
  assert.equal(rig.driver.usedIdx, 0);
  rig.driver.reset();
  rig.place(8, rig.driver.desc, rig.driver.avail, rig.driver.used);
  rig.driver.add({ write: [7] });
  assert.equal(queue.pop()!.writable, 7);
  assert.throws(() => queue.push(old, 4), /given back twice/);
});

Deno.test("event indices: an interrupt when used_event is passed, a kick when avail_event is", () => {
  using rig = new QueueRig();
  const { driver } = rig;
  const queue = rig.open();
  const work = (count: number) => {
    for (let i = 0; i < count; i++) driver.add({ write: [1] });
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) queue.push(chain, 1);
    queue.signal();
  };
  driver.usedEvent = 2; // behind the third
  work(2);
  assert.equal(rig.interrupts, 0);
  work(1);
  assert.equal(rig.interrupts, 1);
  work(2);
  assert.equal(rig.interrupts, 1, "it was not asked for again");
  queue.signal();
  assert.equal(rig.interrupts, 1, "nothing was pushed");
  driver.collect();
  assert.equal(driver.takeKick(), false, "all of them are done");
  driver.add({ write: [1] });
  assert.equal(driver.takeKick(), true, "the queue was found empty");
  driver.add({ write: [1] });
  assert.equal(driver.takeKick(), false, "the device has yet to look");
  queue.disableNotifications();
  queue.pop();
  queue.pop();
  assert.equal(queue.pop(), undefined);
  driver.add({ write: [1] });
  assert.equal(driver.takeKick(), false, "it wants none");
  assert.equal(queue.enableNotifications(), true, "one came meanwhile");
  queue.pop();
  assert.equal(queue.enableNotifications(), false);
  driver.add({ write: [1] });
  assert.equal(driver.takeKick(), true);
});

Deno.test("without event indices, flags say the same", () => {
  using rig = new QueueRig({ features: [] });
  const { driver } = rig;
  const queue = rig.open();
  driver.add({ write: [1] });
  assert.equal(driver.takeKick(), true);
  queue.disableNotifications();
  assert.equal(driver.usedFlags, 1);
  driver.add({ write: [1] });
  assert.equal(driver.takeKick(), false);
  assert.equal(queue.enableNotifications(), true);
  assert.equal(driver.usedFlags, 0);
  driver.availFlags = 1;
  queue.push(queue.pop()!, 0);
  queue.signal();
  assert.equal(rig.interrupts, 0);
  driver.availFlags = 0;
  queue.push(queue.pop()!, 0);
  queue.signal();
  assert.equal(rig.interrupts, 1);
});

Deno.test("legal oddities work", () => {
  using rig = new QueueRig();
  const { driver } = rig;
  const queue = rig.open();
  const end = 4 * 2 ** 20;
  const highEnd = 2 ** 32 + 2 ** 20;
  // Ending exactly where memory ends, zero lengths anywhere, at addresses that there aren't.
  driver.add({
    read: [{ address: end - 3, length: 3 }, { address: 2 ** 60, length: 0 }],
    write: [{ address: highEnd - 8, length: 8 }, { address: 0, length: 0 }],
  });
  const chain = queue.pop()!;
  assert.deepEqual([chain.readable, chain.writable], [3, 8]);
  assert.deepEqual([chain.readableCount, chain.writableCount], [1, 1]);
  chain.writeU64(0, 0x1234_5678_9abc);
  assert.equal(rig.guarded.guest.readU32(highEnd - 8), 0x5678_9abc);
  queue.push(chain, 8);
  // Only zero lengths.
  driver.add({ write: [0, 0] });
  assert.equal(queue.pop()!.writable, 0);
  // An indirect table at an odd address, behind an ordinary descriptor, its WRITE flag ignored.
  const table = driver.heap.take(40, 16) + 1;
  const view = rig.guarded.guest.view(table, 32);
  view.setUint32(0, 0x1000, true);
  view.setUint32(8, 12, true);
  view.setUint16(12, DescFlag.NEXT, true);
  view.setUint16(14, 1, true);
  view.setUint32(16, 0x2000, true);
  view.setUint32(24, 34, true);
  view.setUint16(28, DescFlag.WRITE, true);
  driver.setDescriptor(6, { address: 0x3000, length: 100 }, 7);
  const flags = DescFlag.INDIRECT | DescFlag.WRITE;
  driver.setDescriptor(7, { address: table, length: 32, flags });
  driver.makeAvailable(6);
  const mixed = queue.pop()!;
  assert.deepEqual([mixed.readable, mixed.writable], [112, 34]);
});

Deno.test("an indirect table may be longer than the queue", () => {
  using rig = new QueueRig({ size: 2 });
  rig.driver.add({ read: Array(1000).fill(Uint8Array.of(1)), indirect: true });
  assert.equal(rig.open().pop()!.readableCount, 1000);
});

Deno.test("rings anywhere in memory, as the driver places them, give the same chains", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          read: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }),
          write: fc.array(fc.nat(300), { maxLength: 4 }),
          indirect: fc.boolean(),
        }).filter(({ read, write }) => read.length + write.length > 0),
        { maxLength: 30 },
      ),
      fc.boolean(),
      (requests, eventIdx) => {
        const features = eventIdx ? [Feature.EVENT_IDX, Feature.INDIRECT_DESC] : [28];
        using rig = new QueueRig({ size: 16, features });
        const queue = rig.open();
        for (const [i, parts] of requests.entries()) {
          rig.driver.add(parts);
          const chain = queue.pop()!;
          const whole = new Uint8Array(parts.read.flatMap((bytes) => [...bytes]));
          const copy = new Uint8Array(whole.length);
          assert.equal(chain.read(0, copy), whole.length);
          assert.deepEqual(copy, whole);
          const answer = new Uint8Array(chain.writable).fill(i + 1);
          chain.write(0, answer);
          queue.push(chain, chain.writable);
          const [used] = rig.driver.collect();
          assert.deepEqual(used?.request.written(), answer);
        }
        assert(rig.guarded.intact);
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("a queue lends no more chains than it has descriptors, however short they are", () => {
  using rig = new QueueRig({ size: 4 });
  const { driver } = rig;
  const queue = rig.open();
  driver.setDescriptor(0, { address: 0, length: 0, flags: DescFlag.WRITE });
  for (let i = 0; i < 4; i++) driver.makeAvailable(0);
  const chains = [0, 1, 2, 3].map(() => queue.pop()!);
  driver.makeAvailable(0);
  assert.throws(() => queue.pop(), /more chains than its 4 descriptors/);
  queue.unpop(chains.pop()!);
  assert.equal(queue.pop()!.writable, 0);
});

Deno.test("a queue that is held looks empty, and takes what was popped before", () => {
  using rig = new QueueRig();
  const words = new Int32Array(rig.state.view.buffer);
  const queue = rig.open();
  const [first] = [rig.driver.add({ write: [4] }), rig.driver.add({ write: [4] })];
  const chain = queue.pop()!;
  holdQueue(words);
  assert.equal(queue.ready, false);
  assert.equal(queue.waiting, 0);
  assert.equal(queue.pop(), undefined);
  assert.equal(queue.enableNotifications(), false);
  chain.writeU32(0, 7);
  queue.push(chain, 4);
  queue.signal();
  assert.equal(rig.interrupts, 1);
  assert.deepEqual(rig.driver.collect().map(({ request }) => request === first), [true]);
  assert.equal(letQueueGo(words), true);
  assert.equal(queue.waiting, 1);
  rig.stop();
  holdQueue(words);
  assert.equal(letQueueGo(words), false);
});

Deno.test("a queue goes on where another one like it had got", () => {
  using rig = new QueueRig();
  const words = new Int32Array(rig.state.view.buffer);
  const queue = rig.open();
  for (let i = 0; i < 20; i++) {
    rig.driver.add({ write: [4] });
    queue.push(queue.pop()!, 4);
    rig.driver.collect();
  }
  rig.driver.add({ write: [5] });
  const { last_avail_idx, next_used_idx } = rig.state;
  rig.place(rig.state.size, rig.driver.desc, rig.driver.avail, rig.driver.used);
  Object.assign(rig.state, { last_avail_idx, next_used_idx });
  resumeQueue(words, true);
  assert.equal(queue.waiting, 1);
  queue.push(queue.pop()!, 5);
  assert.deepEqual(rig.driver.collect().map(({ written }) => written), [5]);
  resumeQueue(words, false);
  assert.equal(queue.ready, false);
});
