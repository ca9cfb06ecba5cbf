import assert from "node:assert/strict";
import fc from "fast-check";
import { createDeviceContext } from "../../tests/fake_device_context.ts";
import { bar, fakeFunction, FakePciMachine, WINDOW } from "../../tests/fake_pci_bus.ts";
import { Address, Port } from "../board.ts";
import { Bus } from "../bus.ts";
import type { Width } from "../device.ts";
import { powerManagement } from "../devices/power_management.ts";
import { pciHost, type PciHostContext } from "./host.ts";

const { PCI_CONFIG: ADDRESS, PCI_HOTPLUG: CAME, RESET } = Port;
const DATA = ADDRESS + 4;
const TO_GO = CAME + 4;
const EJECT = CAME + 8;
const ONES = 0xffff_ffff;
const HOST_LOCK = 60;
const PM_LOCK = 61;

/** A board with a bridge, the device that has port 0xcf9, and a function in slots 1 and 31. */
function board() {
  const machine = new FakePciMachine();
  const pciBus = machine.thread();
  const host = createDeviceContext(pciHost);
  const context: PciHostContext = { ...host.context, pciBus };
  const device = pciHost.open({}, context);
  const pm = createDeviceContext(powerManagement);
  const pmDevice = powerManagement.open({}, pm.context);
  const bus = new Bus(machine.words);
  bus.attach("pci_host", HOST_LOCK, device.ranges);
  bus.attach("pm", PM_LOCK, pmDevice.ranges);
  bus.route(pciBus);
  device.reset();
  pmDevice.reset();
  for (const slot of [1, 31]) {
    machine.open(pciBus, slot, fakeFunction({ bars: [bar(0, "mem32", 4096)] }));
    pciBus.reset(slot);
  }
  return { machine, pciBus, device, bus, pm, events: host.events };
}

Deno.test("the bridge itself is in slot 0", () => {
  const { bus } = board();
  assert.equal(bus.readMemory(Address.ECAM, 4), 0x0008_1b36);
  assert.equal(bus.readMemory(Address.ECAM + 8, 4), 0x0600_0000);
  bus.writeMemory(Address.ECAM, 4, ONES);
  assert.equal(bus.readMemory(Address.ECAM, 4), 0x0008_1b36);
  assert.equal(bus.readMemory(Address.ECAM + 0x3c, 2), 0, "it has no interrupt pin");
});

Deno.test("both ways lead to the same configuration space", () => {
  const { bus } = board();
  bus.writePort(ADDRESS, 4, 0x8000_0800 + 0x10);
  assert.equal(bus.readPort(DATA, 4), WINDOW.base);
  bus.writePort(DATA + 1, 1, 0x20);
  const bar0 = Address.ECAM + (1 << 15) + 0x10;
  assert.equal(bus.readMemory(bar0, 4), WINDOW.base + 0x2000);
  bus.writeMemory(bar0 + 1, 1, 0x30);
  assert.equal(bus.readPort(DATA, 2), 0x3000);
  assert.equal(bus.readPort(DATA + 1, 2), 0x0030);
  bus.writePort(ADDRESS, 4, 0x8000_f800);
  assert.equal(bus.readPort(DATA, 4), 0x1042_1af4, "slot 31");
  assert.equal(bus.readMemory(Address.ECAM + 31 * 0x8000 + 2, 2), 0x1042);
});

Deno.test("what is not there reads as ones both ways", () => {
  const { bus } = board();
  for (const address of [0x8000_1000, 0x8000_0900, 0x8001_0000, 0x80ff_fffc]) {
    bus.writePort(ADDRESS, 4, address);
    assert.equal(bus.readPort(DATA, 4), ONES);
    bus.writePort(DATA, 4, 0);
  }
  assert.equal(bus.readMemory(Address.ECAM + 2 * 0x8000, 4), ONES);
  assert.equal(bus.readMemory(Address.ECAM + 0x10_0000, 4), ONES, "behind the bus");
});

Deno.test("the address register takes double words only, and keeps no reserved bit", () => {
  const { bus } = board();
  bus.writePort(ADDRESS, 4, ONES);
  assert.equal(bus.readPort(ADDRESS, 4), 0x80ff_fffc);
  for (const [port, width] of [[0, 1], [2, 1], [3, 1], [0, 2], [2, 2]] as const) {
    bus.writePort(ADDRESS + port, width, 0);
    assert.equal(bus.readPort(ADDRESS + port, width), 2 ** (8 * width) - 1);
  }
  assert.equal(bus.readPort(ADDRESS, 4), 0x80ff_fffc);
  // How Linux finds out that configuration mechanism 1 is there.
  bus.writePort(ADDRESS + 3, 1, 1);
  bus.writePort(ADDRESS, 4, 0x8000_0000);
  assert.equal(bus.readPort(ADDRESS, 4), 0x8000_0000);
});

Deno.test("data is out of reach while the address is not enabled", () => {
  const { bus } = board();
  bus.writePort(ADDRESS, 4, 0x0000_0800);
  for (const width of [1, 2, 4] as const) {
    assert.equal(bus.readPort(DATA, width), 2 ** (8 * width) - 1);
    bus.writePort(DATA, width, 0);
  }
});

Deno.test("port 0xcf9 stays the reset register, and an address is no reset", () => {
  const { bus, pm } = board();
  bus.writePort(ADDRESS, 4, 0x8000_0600);
  bus.writePort(ADDRESS, 2, 0x0600);
  assert.deepEqual(pm.stops, []);
  bus.writePort(RESET, 1, 0x02);
  assert.equal(bus.readPort(RESET, 1), 0x02);
  assert.equal(bus.readPort(ADDRESS, 4), 0x8000_0600);
  bus.writePort(RESET, 1, 0x06);
  assert.deepEqual(pm.stops, [["reset", undefined]]);
});

Deno.test("a slot that came is told until the guest has seen it", () => {
  const { device, bus } = board();
  assert.equal(device.action!("plug", "1"), true);
  assert.equal(device.action!("plug", "31"), true);
  assert.equal(bus.readPort(CAME, 4), 0x8000_0002);
  bus.writePort(CAME, 4, 0x8000_0000);
  assert.equal(bus.readPort(CAME, 4), 0x0000_0002);
  bus.writePort(CAME, 1, 0x02);
  assert.equal(bus.readPort(CAME, 4), 0);
});

Deno.test("a slot that is to go is told until the guest lets it go", () => {
  const { device, bus, events, pciBus, machine } = board();
  bus.writeMemory(Address.ECAM + 31 * 0x8000 + 4, 2, 2);
  const at = bus.readMemory(Address.ECAM + 31 * 0x8000 + 0x10, 4);
  assert.equal(bus.readMemory(at, 4), 0);
  assert.equal(device.action!("unplug", "31"), true);
  bus.writePort(TO_GO, 4, ONES);
  assert.equal(bus.readPort(TO_GO, 4), 0x8000_0000);
  assert.equal(bus.readPort(TO_GO + 3, 1), 0x80);
  assert.deepEqual(events, []);
  bus.writePort(EJECT, 4, 0x8000_0000);
  assert.deepEqual(events, [{ kind: "eject", slot: 31 }]);
  assert.equal(bus.readPort(TO_GO, 4), 0);
  assert.equal(bus.readPort(EJECT, 4), 0);
  assert.equal(pciBus.present(31), false);
  assert.equal(bus.readMemory(at, 4), ONES);
  bus.writePort(EJECT, 4, 0x8000_0000);
  assert.equal(events.length, 1, "it goes once");
  assert.ok(machine.words.subarray(16).every((word) => word === 0), "a lock is held");
});

Deno.test("a guest may let a slot go unasked, but not the bridge, nor what is not there", () => {
  const { bus, events, pciBus } = board();
  bus.writePort(EJECT, 4, ONES);
  assert.deepEqual(events, [{ kind: "eject", slot: 1 }, { kind: "eject", slot: 31 }]);
  assert.equal(pciBus.present(0), true);
});

Deno.test("a reset lets go what was to go, and forgets what came", () => {
  const { device, bus, events } = board();
  device.action!("plug", "1");
  device.action!("unplug", "31");
  bus.writePort(ADDRESS, 4, 0x8000_0000);
  device.reset();
  assert.deepEqual(events, [{ kind: "eject", slot: 31 }]);
  assert.deepEqual([ADDRESS, CAME, TO_GO].map((port) => bus.readPort(port, 4)), [0, 0, 0]);
});

Deno.test("actions on slots that have no device, or by other names, do nothing", () => {
  const { device, bus } = board();
  for (const slot of ["0", "2", "32", "-1", "1.5", "", "x", "4294967297", undefined]) {
    assert.equal(device.action!("plug", slot), false);
    assert.equal(device.action!("unplug", slot), false);
  }
  assert.equal(device.action!("replug", "1"), false);
  assert.deepEqual([CAME, TO_GO].map((port) => bus.readPort(port, 4)), [0, 0]);
});

Deno.test("no sequence of accesses to any of its ranges throws or gives a wrong width", () => {
  const place = fc.oneof(
    fc.integer({ min: ADDRESS - 4, max: ADDRESS + 12 }).map((at) => ({ at, pio: true })),
    fc.integer({ min: CAME - 4, max: CAME + 16 }).map((at) => ({ at, pio: true })),
    fc.integer({ min: Port.PCI_WINDOW, max: 0xffff }).map((at) => ({ at, pio: true })),
    fc.integer({ min: -8, max: 0x10_0008 }).map((at) => ({ at: Address.ECAM + at, pio: false })),
    fc.integer({ min: 0, max: 0x3000 }).map((at) => ({ at: WINDOW.base + at, pio: false })),
    fc.record({ slot: fc.constantFrom(0, 1, 31), register: fc.nat(0x50) })
      .map(({ slot, register }) => ({ at: Address.ECAM + (slot << 15) + register, pio: false })),
  );
  const access = fc.record({
    place,
    width: fc.constantFrom<Width>(1, 2, 4),
    value: fc.oneof(fc.nat(ONES), fc.constantFrom(0, ONES, 0x8000_0810, 0xc000_1000, 7)),
  });
  fc.assert(
    fc.property(fc.array(access, { maxLength: 100, size: "max" }), (accesses) => {
      const { bus, machine, device } = board();
      for (const { place: { at, pio }, width, value } of accesses) {
        const cut = value % 2 ** (8 * width);
        if (pio) bus.writePort(at, width, cut);
        else bus.writeMemory(at, width, cut);
        const read = pio ? bus.readPort(at, width) : bus.readMemory(at, width);
        assert.ok(Number.isInteger(read) && read >= 0 && read < 2 ** (8 * width));
        assert.equal(bus.readMemory(Address.ECAM, 4), 0x0008_1b36);
      }
      assert.ok(machine.words.subarray(16).every((word) => word === 0), "a lock is held");
      device.reset();
      assert.equal(bus.readPort(ADDRESS, 4), 0);
    }),
    { numRuns: 100 },
  );
});
