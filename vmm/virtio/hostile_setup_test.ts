/**
 * Queues that are set up wrong, by each transport's registers. Sizes and places that are plainly wrong
 * are in `hostile_register_test.ts`; here is what takes memory of a shape of its own.
 *
 * @module
 */
import assert from "node:assert/strict";
import { echo } from "../../tests/echo_device.ts";
import { answersOn } from "../../tests/ring_mutator.ts";
import { TRANSPORTS, VirtioMachine } from "../../tests/virtio_machine.ts";
import type { QueuePlace } from "../../tests/virtio_registers.ts";
import { Mmio } from "./mmio_transport.ts";
import { Common } from "./pci_common.ts";
import { Status } from "./status.ts";

const NOT_YET = Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK;
const RUNNING = NOT_YET | Status.DRIVER_OK;
const MIB = 2 ** 20;
const END = 16 * MIB;
const HIGH = 2 ** 32;
const proof = answersOn(0, { read: [Uint8Array.of(1, 2, 3)], write: [3] });

const right: QueuePlace = { size: 8, desc: 0x1000, avail: 0x2000, used: 0x3000 };
/** Two regions that lie side by side: no ring may be in both. */
const NEXT_TO = [{ base: 0, size: END }, { base: END, size: MIB }, { base: HIGH, size: MIB }];

const WRONG: readonly [string, Partial<QueuePlace>][] = [
  ["a table in two regions", { desc: END - 64 }],
  ["an available ring in two regions", { avail: END - 2 }],
  ["a used ring in two regions", { used: END - 4 }],
  ["a table from a hole into memory", { desc: HIGH - 16 }],
  ["a table over the end of the last region", { desc: HIGH + MIB - 64 }],
  ["an available ring over the end", { avail: HIGH + MIB - 20 }],
  ["a used ring over the end", { used: HIGH + MIB - 68 }],
  ["a table that wraps 2^64", { desc: 2 ** 64 - 2048, size: 256 }],
  ["a used ring at 2^63", { used: 2 ** 63 }],
  ["a table at 2^53", { desc: 2 ** 53 }],
];

for (const transport of TRANSPORTS) {
  const open = (options = {}) =>
    VirtioMachine.open(echo, {}, { transport, memory: NEXT_TO, start: false, ...options });

  for (const [name, wrong] of WRONG) {
    Deno.test(`${transport}: ${name} needs a reset`, async () => {
      await using vm = await open();
      vm.negotiate();
      vm.registers.enableQueue(0, { ...right, ...wrong });
      assert.equal(vm.registers.queueEnabled(0), false);
      assert.equal(vm.status, NOT_YET | Status.DEVICE_NEEDS_RESET);
      vm.registers.status = RUNNING;
      vm.kick(0);
      vm.poll();
      assert.deepEqual(vm.events.map(({ kind, count }) => [kind, count]), [["needs-reset", 1]]);
      assert.match(vm.events[0]!.message!, /^Queue 0 was enabled: its .* is not in guest memory/);
      vm.reset();
      vm.start();
      proof(vm);
    });
  }

  Deno.test(`${transport}: rings up to the very end of a region work`, async () => {
    for (const end of [END, END + MIB, HIGH + MIB]) {
      await using vm = await open();
      const place = { size: 8, desc: end - 384, avail: end - 150, used: end - 72 };
      vm.negotiate();
      vm.registers.enableQueue(0, place);
      vm.registers.status = RUNNING;
      const view = vm.memory.view(place.avail, 22);
      const desc = vm.memory.view(place.desc, 16);
      desc.setBigUint64(0, BigInt(place.avail), true);
      desc.setUint32(8, 4, true);
      view.setUint16(2, 1, true);
      vm.kick(0);
      vm.poll();
      assert.equal(vm.memory.view(place.used, 4).getUint16(2, true), 1);
      assert.equal(vm.status, RUNNING);
    }
  });

  Deno.test(`${transport}: rings over one another and over data harm nobody else`, async () => {
    for (const [avail, used] of [[0, 0], [0x1000, 0x1000], [0x1002, 0x1004], [0x1040, 0x1000]]) {
      await using vm = await open();
      vm.memory.bytes(0, 0x2000).fill(1);
      for (let round = 0; round < 20; round++) {
        vm.negotiate();
        vm.registers.enableQueue(0, { size: 8, desc: 0x1000, avail: avail!, used: used! });
        vm.registers.status = RUNNING;
        for (let kick = 0; kick < 5; kick++) {
          vm.memory.view(avail!, 4).setUint16(2, kick + round, true);
          vm.kick(0);
          vm.poll();
        }
        assert(vm.guarded.intact);
        vm.reset();
      }
      vm.start();
      proof(vm);
    }
  });

  Deno.test(`${transport}: a queue that is enabled before anything of it is set has its rings at 0`, async () => {
    await using vm = await open();
    vm.negotiate();
    const { raw } = vm.registers;
    if (transport === "pci") {
      raw.write(Common.QUEUE_SELECT, 2, 0);
      raw.write(Common.QUEUE_ENABLE, 2, 1);
    } else {
      raw.write(Mmio.QUEUE_SEL, 4, 0);
      raw.write(Mmio.QUEUE_READY, 4, 1);
    }
    vm.registers.status = RUNNING;
    vm.kick(0);
    vm.poll();
    vm.reset();
    assert(vm.guarded.intact);
    vm.start();
    proof(vm);
  });

  Deno.test(`${transport}: a queue that is enabled twice is enabled once`, async () => {
    await using vm = await open();
    vm.negotiate();
    vm.setUpQueues();
    vm.registers.enableQueue(0, { ...right, desc: 2 ** 40 });
    vm.registers.status = RUNNING;
    assert.equal(vm.status, RUNNING);
    proof(vm);
  });

  Deno.test(`${transport}: status bits that are skipped or taken back don't start a device`, async () => {
    await using vm = await open();
    const steps = [Status.DRIVER_OK, 15, 13, 7, 0x80, 0x40, 0xff, 3, 11, 9, 2, 15, 4, 1, 64];
    for (let first = 0; first < steps.length; first++) {
      for (const written of [...steps.slice(first), ...steps.slice(0, first)]) {
        vm.registers.status = written;
        const { status } = vm;
        // Without VERSION_1 no sequence gets FEATURES_OK, and so none gets to DRIVER_OK.
        assert.equal(status & (Status.FEATURES_OK | Status.DRIVER_OK), 0, `${written}`);
        vm.kick(0);
      }
      vm.reset();
    }
    vm.start();
    proof(vm);
  });

  Deno.test(`${transport}: features that are chosen after FEATURES_OK are not heard`, async () => {
    await using vm = await open({ without: [28] });
    vm.negotiate();
    vm.registers.chosen = vm.registers.offered;
    vm.setUpQueues();
    vm.registers.status = RUNNING;
    vm.registers.chosen = vm.registers.offered;
    vm.driver(0).add({ write: [8], indirect: true });
    vm.kick(0);
    vm.poll();
    assert.match(vm.events[0]!.message!, /indirect table was not negotiated/);
    vm.reset();
    vm.start();
    proof(vm);
  });
}
