import assert from "node:assert/strict";
import fc from "fast-check";
import { echo, EchoMode } from "../../tests/echo_device.ts";
import { answersOn } from "../../tests/ring_mutator.ts";
import { TRANSPORTS, VirtioMachine } from "../../tests/virtio_machine.ts";
import type { Transport, Width } from "../device.ts";
import { Mmio } from "./mmio_transport.ts";
import { PciCap, PciCapType, Structure } from "./pci_capabilities.ts";
import { Common } from "./pci_common.ts";
import { Status } from "./status.ts";

const RUNNING = Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK | Status.DRIVER_OK;
const WIDTHS: readonly Width[] = [1, 2, 4];
const proof = answersOn(0, { read: [Uint8Array.of(1, 2, 3)], write: [3] });

/** Where the registers of a queue's set-up are, with the widths that drivers use. */
const QUEUE_REGISTERS: Readonly<Record<Transport, readonly (readonly [number, Width])[]>> = {
  pci: [
    [Common.QUEUE_SIZE, 2],
    [Common.QUEUE_ENABLE, 2],
    ...[0, 4, 8, 12, 16, 20].map((half) => [Common.QUEUE_DESC + half, 4] as const),
  ],
  mmio: [
    [Mmio.QUEUE_NUM, 4],
    [Mmio.QUEUE_READY, 4],
    [Mmio.QUEUE_DESC_LOW, 4],
    [Mmio.QUEUE_DESC_HIGH, 4],
    [Mmio.QUEUE_DRIVER_LOW, 4],
    [Mmio.QUEUE_DRIVER_HIGH, 4],
    [Mmio.QUEUE_DEVICE_LOW, 4],
    [Mmio.QUEUE_DEVICE_HIGH, 4],
    [Mmio.QUEUE_RESET, 4],
  ],
};

function select(vm: VirtioMachine, transport: Transport, queue: number): void {
  if (transport === "pci") vm.registers.raw.write(Common.QUEUE_SELECT, 2, queue);
  else vm.registers.raw.write(Mmio.QUEUE_SEL, 4, queue);
}

for (const transport of TRANSPORTS) {
  const open = (options = {}) => VirtioMachine.open(echo, {}, { transport, ...options });

  Deno.test(`${transport}: each offset is read and written in each width, misaligned too`, async () => {
    await using vm = await open();
    const { raw, size } = vm.registers;
    for (const value of [0, 1, 0xff, 0xffff_ffff, 0x8000_0000]) {
      for (const width of WIDTHS) {
        const masked = value % 2 ** (8 * width);
        for (let offset = 0; offset + width <= size; offset++) {
          raw.write(offset, width, masked);
          const got = raw.read(offset, width);
          assert(Number.isInteger(got) && got >= 0 && got < 2 ** (8 * width), `${offset} ${got}`);
          if (vm.status === 0) vm.waitForHolds();
        }
      }
    }
    vm.reset();
    vm.start();
    proof(vm);
  });

  Deno.test(`${transport}: what is no register reads as ones`, async () => {
    await using vm = await open();
    const { raw, size } = vm.registers;
    const none = transport === "pci"
      ? [Common.END, 0x3c, 0x800, Structure.ISR + 1, Structure.NOTIFY, Structure.DEVICE + 8]
      : [0x018, Mmio.QUEUE_NUM, Mmio.QUEUE_NOTIFY, 0x0b0, 0x0b4, 0x0f8, Mmio.CONFIG + 8];
    for (const offset of [...none, size - 4]) {
      assert.equal(raw.read(offset, 4), 0xffff_ffff, `0x${offset.toString(16)}`);
    }
  });

  Deno.test(`${transport}: any sequence of register accesses leaves a device that can be reset`, async () => {
    await using vm = await open();
    const access = fc.record({
      offset: fc.oneof(fc.nat(0x200), fc.nat(vm.registers.size - 4)),
      width: fc.constantFrom(...WIDTHS),
      value: fc.oneof(
        fc.nat(0xffff_ffff),
        fc.nat(16),
        fc.constantFrom(0xffff, 0xffff_ffff, 0x8000_0000),
      ),
    });
    fc.assert(
      fc.property(fc.array(access, { maxLength: 60 }), (accesses) => {
        for (const { offset, width, value } of accesses) {
          vm.registers.raw.write(offset, width, value % 2 ** (8 * width));
          vm.registers.raw.read(offset, width);
        }
        vm.poll();
        vm.reset();
      }),
      { numRuns: 2000 },
    );
    vm.start();
    proof(vm);
    assert(vm.guarded.intact);
  });

  Deno.test(`${transport}: a queue that there isn't has no registers`, async () => {
    await using vm = await open({ start: false });
    vm.negotiate();
    for (const queue of [2, 63, 64, 0xffff]) {
      assert.equal(vm.registers.queueMax(queue), 0);
      vm.registers.enableQueue(queue, { size: 8, desc: 0, avail: 0x1000, used: 0x2000 });
      assert.equal(vm.registers.queueEnabled(queue), false);
      vm.kick(queue);
    }
    assert.equal(vm.status, RUNNING & ~Status.DRIVER_OK);
    vm.setUpQueues();
    vm.registers.status = RUNNING;
    proof(vm);
  });

  Deno.test(`${transport}: a queue's registers are frozen once it is enabled, and by DRIVER_OK`, async () => {
    for (const running of [false, true]) {
      await using vm = await open({ start: false });
      vm.negotiate();
      vm.setUpQueues();
      if (running) vm.registers.status = RUNNING;
      for (const queue of [0, 1]) {
        for (const [register, width] of QUEUE_REGISTERS[transport]) {
          // Only MMIO lets a driver disable a queue, until the device runs.
          if (!running && register === Mmio.QUEUE_READY && transport === "mmio") continue;
          for (const value of [0, 1, 0x10, 0xffff, 0xffff_f000]) {
            select(vm, transport, queue);
            vm.registers.raw.write(register, width, value % 2 ** (8 * width));
          }
        }
        assert(vm.registers.queueEnabled(queue));
      }
      vm.registers.status = RUNNING;
      assert.equal(vm.status, RUNNING);
      proof(vm);
    }
  });

  Deno.test(`${transport}: a queue that is not enabled before DRIVER_OK never is`, async () => {
    await using vm = await open({ start: false });
    vm.negotiate();
    vm.setUpQueues();
    vm.reset();
    vm.negotiate();
    vm.registers.status = RUNNING;
    vm.registers.enableQueue(0, { size: 8, desc: 0, avail: 0x1000, used: 0x2000 });
    assert.equal(vm.registers.queueEnabled(0), false);
    vm.kick(0);
    vm.kick(1);
    vm.poll();
    assert.equal(vm.status, RUNNING);
  });

  Deno.test(`${transport}: one queue works without the other`, async () => {
    await using vm = await open({ start: false });
    vm.negotiate();
    vm.setUpQueues();
    const [first] = [vm.driver(0)];
    vm.registers.status = 0;
    first.reset();
    vm.negotiate();
    vm.registers.enableQueue(0, first);
    vm.registers.status = RUNNING;
    vm.kick(1);
    proof(vm);
  });

  const BAD: readonly [string, { size: number; desc: number; avail: number; used: number }][] = [
    ["size 0", { size: 0, desc: 0, avail: 0x1000, used: 0x2000 }],
    ["size 5", { size: 5, desc: 0, avail: 0x1000, used: 0x2000 }],
    ["size 512, above the maximum", { size: 512, desc: 0, avail: 0x8000, used: 0x1_0000 }],
    ["size 65535", { size: 65535, desc: 0, avail: 0x1000, used: 0x2000 }],
    ["table at 8", { size: 8, desc: 8, avail: 0x1000, used: 0x2000 }],
    ["available ring at 1", { size: 8, desc: 0, avail: 1, used: 0x2000 }],
    ["used ring at 2", { size: 8, desc: 0, avail: 0x1000, used: 2 }],
    ["table past memory", { size: 8, desc: 2 ** 30, avail: 0x1000, used: 0x2000 }],
    ["available ring past memory", { size: 8, desc: 0, avail: 2 ** 62, used: 0x2000 }],
    ["used ring at the end of addresses", {
      size: 8,
      desc: 0,
      avail: 0x1000,
      used: 2 ** 64 - 2048,
    }],
  ];
  for (const [name, place] of BAD) {
    Deno.test(`${transport}: a queue enabled with ${name} needs a reset`, async () => {
      await using vm = await open({ start: false });
      vm.negotiate();
      vm.registers.enableQueue(0, place);
      assert.equal(vm.registers.queueEnabled(0), false);
      assert.equal(vm.status, (RUNNING & ~Status.DRIVER_OK) | Status.DEVICE_NEEDS_RESET);
      vm.registers.status = RUNNING;
      assert.notEqual(vm.status, RUNNING);
      assert.match(vm.events[0]!.message!, /^Queue 0 was enabled: its /);
      vm.reset();
      vm.start();
      proof(vm);
    });
  }

  Deno.test(`${transport}: 10,000 resets one behind the other, some with requests in flight`, async () => {
    await using vm = await open();
    for (let i = 0; i < 10_000; i++) {
      vm.registers.status = 0;
      if (i % 100 === 0) {
        vm.waitForHolds();
        vm.reset();
        vm.start();
        vm.registers.writeConfig(4, 1, EchoMode.KEEP);
        vm.driver(0).add({ write: [16] });
        vm.kick(0);
        vm.poll();
      }
    }
    vm.waitForHolds();
    vm.reset();
    vm.start();
    proof(vm);
  });
}

Deno.test("pci: vectors that there aren't read back as none, and send nothing", async () => {
  await using vm = await VirtioMachine.open(echo);
  const { raw } = vm.registers;
  for (const vector of [3, 0x7ff, 0xfffe, 0xffff]) {
    raw.write(Common.CONFIG_MSIX_VECTOR, 2, vector);
    assert.equal(raw.read(Common.CONFIG_MSIX_VECTOR, 2), 0xffff);
    raw.write(Common.QUEUE_MSIX_VECTOR, 2, vector);
    assert.equal(raw.read(Common.QUEUE_MSIX_VECTOR, 2), 0xffff);
  }
  vm.threads.main.action!("change");
  assert.equal(vm.interrupts.vectors.size, 0);
  raw.write(Common.CONFIG_MSIX_VECTOR, 2, 2);
  vm.threads.main.action!("change");
  assert.deepEqual([...vm.interrupts.vectors], [[2, 1]]);
});

Deno.test("pci: eventfds follow the BAR, and a notification is lost nowhere", async () => {
  await using vm = await VirtioMachine.open(echo);
  const { pci } = vm.threads.vcpu;
  assert.deepEqual(vm.attachments, ["0xd0003000 2"]);
  pci!.decoded!(0, 0xc000_0000);
  assert.deepEqual(vm.attachments, ["0xc0003000 2"]);
  pci!.decoded!(1, 0xc100_0000); // MSI-X's
  assert.deepEqual(vm.attachments, ["0xc0003000 2"]);
  pci!.decoded!(0, undefined);
  assert.deepEqual(vm.attachments, []);
  proof(vm);
  vm.reset();
  pci!.decoded!(0, 0xd000_0000);
  assert.deepEqual(vm.attachments, [], "it does not run");
  vm.start();
  assert.deepEqual(vm.attachments, ["0xd0003000 2"]);
});

Deno.test("pci: capabilities lie inside of the BAR, one for each structure", async () => {
  await using vm = await VirtioMachine.open(echo);
  const { bars, vendorCapabilities } = vm.threads.vcpu.pci!;
  const found = vendorCapabilities!.map((body) => {
    const view = new DataView(body.buffer, body.byteOffset, body.length);
    assert.equal(view.getUint8(0), body.length + 2, "cap_len");
    const offset = view.getUint32(PciCap.OFFSET - 2, true);
    const length = view.getUint32(PciCap.LENGTH - 2, true);
    assert(offset + length <= bars[0]!.size);
    return view.getUint8(1);
  });
  assert.deepEqual(found.sort(), Object.values(PciCapType));
});

Deno.test("pci: the configuration window reaches what the BAR does, and nothing else", async () => {
  await using vm = await VirtioMachine.open(echo);
  const pci = vm.threads.vcpu.pci!;
  const capability = pci.vendorCapabilities!.findIndex((body) => body[1] === PciCapType.PCI_CFG);
  const get = (offset: number, width: Width) => pci.readCapability!(capability, offset, width);
  const set = (offset: number, width: Width, value: number) =>
    pci.writeCapability!(capability, offset, width, value);
  set(PciCap.BAR, 1, 0);
  set(PciCap.OFFSET, 4, Structure.DEVICE);
  set(PciCap.LENGTH, 4, 4);
  assert.equal(get(PciCap.OFFSET, 4), Structure.DEVICE);
  set(PciCap.CFG_DATA, 4, 0x1234_5678);
  assert.equal(get(PciCap.CFG_DATA, 4), 0x1234_5678);
  assert.equal(vm.registers.readConfig(0, 4), 0x1234_5678);
  set(PciCap.LENGTH, 4, 1);
  assert.equal(get(PciCap.CFG_DATA, 4), 0x78);
  const bad = [[0, 2, 3], [0, 0, 5], [0, 0x4000, 1], [0, 0xffff_ffff, 4], [1, 0, 4], [9, 0, 1]];
  for (const [bar, offset, length] of [...bad, [0, 0, 0], [0, 2, 4]] as number[][]) {
    set(PciCap.BAR, 1, bar!);
    set(PciCap.OFFSET, 4, offset!);
    set(PciCap.LENGTH, 4, length!);
    set(PciCap.CFG_DATA, 4, 0xffff_ffff);
    assert.equal(get(PciCap.CFG_DATA, 4), 0xffff_ffff);
  }
  // No other capability is a window.
  assert.equal(pci.readCapability!(0, 4, 1), undefined);
  pci.writeCapability!(0, 4, 1, 5);
  for (let offset = 0; offset < 20; offset++) {
    for (const width of WIDTHS) {
      set(offset, width, 2 ** (8 * width) - 1);
      get(offset, width);
    }
  }
  vm.reset();
  vm.start();
  proof(vm);
});
