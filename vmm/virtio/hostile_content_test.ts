/**
 * Each lie that a ring can tell, to every device behind each transport: the device needs a reset, says so
 * once in a while, touches nothing, and works again after the reset.
 *
 * @module
 */
import assert from "node:assert/strict";
import { echo } from "../../tests/echo_device.ts";
import { HOSTILE_SUBJECTS } from "../../tests/hostile_subjects.ts";
import { RING_LIES, type RingLie } from "../../tests/ring_lies.ts";
import { answersOn } from "../../tests/ring_mutator.ts";
import { PROOFS } from "../../tests/script_virtio.ts";
import { TestFolder } from "../../tests/sh_line.ts";
import { DescFlag, type RequestParts, type VirtioDriver } from "../../tests/virtio_driver.ts";
import { TRANSPORTS, VirtioMachine } from "../../tests/virtio_machine.ts";
import { Status } from "./status.ts";
import { Feature } from "./virtio_device.ts";

const RUNNING = Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK | Status.DRIVER_OK;
const MIB = 2 ** 20;
const END = 16 * MIB;
const HIGH_END = 2 ** 32 + MIB;
const QUEUE_SIZE = 8;
const proof = answersOn(0, { read: [Uint8Array.of(1, 2, 3)], write: [3] });

/** What the device may write at any time: which chain it wants to hear of, and no more. */
function withoutUsedRing(vm: VirtioMachine, { used, size }: VirtioDriver): Uint8Array<ArrayBuffer> {
  const memory = vm.memory.read(0, END);
  memory.fill(0, used, used + 6 + 8 * size);
  return memory;
}

function tell(vm: VirtioMachine, lie: RingLie, queue: number, request: RequestParts): void {
  const driver = vm.driver(queue);
  const { usedIdx } = driver;
  const work = () => {
    vm.kick(queue);
    for (let turns = 0; driver.usedIdx !== ((usedIdx + 2) & 0xffff); turns++) {
      assert(turns < 100, "no answer");
      vm.poll(10);
    }
  };
  lie.tell({ driver, memory: vm.memory, end: END, request, work });
}

function isBroken(vm: VirtioMachine, queue: number): void {
  vm.kick(queue);
  vm.poll();
  assert.equal(vm.status, RUNNING | Status.DEVICE_NEEDS_RESET);
}

for (const transport of TRANSPORTS) {
  for (const queue of [0, 1]) {
    const where = `${transport}, ${queue === 0 ? "I/O thread" : "vCPU"}`;
    for (const lie of RING_LIES) {
      Deno.test(`${where}: ${lie.name}`, async () => {
        await using vm = await VirtioMachine.open(echo, {}, {
          transport,
          queueSize: QUEUE_SIZE,
          ...(lie.without === undefined ? {} : { without: [lie.without] }),
        });
        tell(vm, lie, queue, { write: [1] });
        const before = withoutUsedRing(vm, vm.driver(queue));
        isBroken(vm, queue);
        assert(vm.takeInterrupt(-1), "the driver is told");
        isBroken(vm, queue);
        assert(!vm.takeInterrupt(-1), "once");
        assert.deepEqual(vm.events.map(({ kind, count }) => [kind, count]), [["needs-reset", 1]]);
        assert.match(vm.events[0]!.message!, lie.message);
        assert.equal(Buffer.compare(withoutUsedRing(vm, vm.driver(queue)), before), 0);
        assert(vm.guarded.intact);
        vm.reset();
        vm.start();
        proof(vm);
      });
    }
  }

  for (const { name, make } of HOSTILE_SUBJECTS.filter(({ name }) => name in PROOFS)) {
    Deno.test(`${name} over ${transport}: no lie in a ring outlives a reset`, async () => {
      await using folder = new TestFolder();
      const { type, config, proof, options } = make(folder.path);
      await using vm = await VirtioMachine.open(type, config, {
        ...options,
        transport,
        queueSize: QUEUE_SIZE,
      });
      const [queue, read, write] = PROOFS[name]!;
      // The first lies are told by a driver without indirect tables.
      for (const lie of RING_LIES.filter(({ without }) => without === undefined)) {
        const before = vm.stats.needs_resets!;
        tell(vm, lie, queue, { read, write });
        isBroken(vm, queue);
        assert.equal(vm.stats.needs_resets, before + 1, lie.name);
        assert(vm.guarded.intact, lie.name);
        vm.reset();
        vm.start();
      }
      const lies = vm.events.filter(({ kind }) => kind === "needs-reset");
      assert.deepEqual(lies.map(({ count }) => count), [1, 2, 4, 8, 16, 32].slice(0, lies.length));
      assert(lies.length > 4);
      await proof(vm);
    });
  }

  const open = (options = {}) => VirtioMachine.open(echo, {}, { transport, ...options });

  Deno.test(`${transport}: the available index wraps, and each chain is answered once`, async () => {
    await using vm = await open({ queueSize: 64 });
    const driver = vm.driver(0);
    const one = { read: [Uint8Array.of(0x61)], write: [1] };
    for (let done = 0; done < 65_536 + 64; done += 32) {
      for (let i = 0; i < 32; i++) driver.add(one);
      vm.kick(0);
      vm.poll();
      assert.equal(driver.collect().length, 32);
    }
    assert.equal(driver.usedIdx, 64);
    assert.equal(vm.status, RUNNING);
  });

  Deno.test(`${transport}: legal chains that look odd are answered`, async () => {
    await using vm = await open({ queueSize: QUEUE_SIZE });
    const driver = vm.driver(0);
    const text = new TextEncoder().encode("abcdefgh");
    const answer = (parts: RequestParts) => {
      driver.add(parts);
      vm.kick(0);
      vm.poll();
      const [used] = driver.collect();
      return [used!.written, new TextDecoder().decode(used!.request.written())];
    };
    const bytes = [...text].map((byte) => Uint8Array.of(byte));
    assert.deepEqual(answer({ read: bytes.slice(0, 4), write: [1, 1, 1, 1] }), [4, "ABCD"]);
    assert.deepEqual(answer({ read: bytes, write: [8], indirect: true }), [8, "ABCDEFGH"]);
    const nowhere = { address: 2 ** 63, length: 0 };
    assert.deepEqual(answer({ read: [nowhere, text, nowhere], write: [nowhere, 8] }), [
      8,
      "ABCDEFGH",
    ]);
    assert.deepEqual(answer({ read: [nowhere], write: [nowhere, 0] }), [0, ""]);
    for (const end of [END, HIGH_END]) {
      vm.memory.write(end - 16, text);
      const [read, write] = [{ address: end - 16, length: 8 }, { address: end - 8, length: 8 }];
      assert.deepEqual(answer({ read: [read], write: [write] }), [8, "ABCDEFGH"]);
    }
    assert.deepEqual(
      answer({ read: Array(300).fill(text), write: [2400], indirect: true })[0],
      2400,
    );
    assert.equal(vm.status, RUNNING);
  });

  Deno.test(`${transport}: an indirect table at an odd address, its WRITE flag ignored`, async () => {
    await using vm = await open({ queueSize: QUEUE_SIZE });
    const driver = vm.driver(0);
    const table = driver.heap.take(48) + 1;
    const view = vm.memory.view(table, 32);
    vm.memory.write(0x1000, new TextEncoder().encode("abc"));
    view.setUint32(0, 0x1000, true);
    view.setUint32(8, 3, true);
    view.setUint16(12, DescFlag.NEXT, true);
    view.setUint16(14, 1, true);
    view.setUint32(16, 0x2000, true);
    view.setUint32(24, 3, true);
    view.setUint16(28, DescFlag.WRITE, true);
    const flags = DescFlag.INDIRECT | DescFlag.WRITE;
    driver.setDescriptor(0, { address: table, length: 32, flags });
    driver.makeAvailable(0);
    vm.kick(0);
    vm.poll();
    assert.deepEqual(vm.memory.read(0x2000, 3), new TextEncoder().encode("ABC"));
  });

  Deno.test(`${transport}: 255 descriptors over all of memory, up to 2^32 bytes and no further`, async () => {
    await using vm = await open();
    const all = { address: 0, length: END };
    vm.driver(0).add({ write: Array(255).fill(all) });
    vm.driver(0).add({ write: Array(256).fill(all), indirect: true });
    vm.kick(0);
    vm.poll();
    assert.equal(vm.driver(0).usedIdx, 2);
    vm.reset();
    vm.start();
    vm.driver(0).add({ write: Array(257).fill(all), indirect: true });
    vm.kick(0);
    vm.poll();
    assert.equal(vm.status, RUNNING | Status.DEVICE_NEEDS_RESET);
    assert.match(vm.events[0]!.message!, /longer than 2\^32/);
    vm.reset();
    vm.start();
    proof(vm);
  });

  Deno.test(`${transport}: one head many times, and any used_event, are the driver's own affair`, async () => {
    for (const without of [[], [Feature.EVENT_IDX]]) {
      await using vm = await open({ queueSize: QUEUE_SIZE, without });
      const driver = vm.driver(0);
      for (const event of [0, 1, 7, 8, 255, 32767, 32768, 65535]) {
        driver.usedEvent = event;
        driver.availFlags = event;
        driver.setDescriptor(0, { address: 0x1000, length: 16, flags: DescFlag.WRITE });
        for (let i = 0; i < QUEUE_SIZE; i++) driver.makeAvailable(0);
        vm.kick(0);
        vm.poll();
      }
      assert.equal(driver.usedIdx, 64);
      assert.equal(vm.status, RUNNING);
    }
  });

  Deno.test(`${transport}: descriptors that change after the device has read them change nothing`, async () => {
    await using vm = await open();
    vm.registers.writeConfig(4, 1, 1); // it keeps its requests
    const driver = vm.driver(0);
    const { head } = driver.add({ write: [16] });
    vm.kick(0);
    vm.poll();
    driver.setDescriptor(head, { address: 2 ** 40, length: 2 ** 31 }, head);
    vm.kick(0);
    vm.poll();
    assert.equal(vm.status, RUNNING);
    vm.reset();
    assert(vm.guarded.intact);
    vm.start();
    proof(vm);
  });
}
