/** A virtio device in a slot of the machine's own PCI bus, found and driven as drivers do it. */
import assert from "node:assert/strict";
import { createDeviceContext } from "../../tests/fake_device_context.ts";
import { echo } from "../../tests/echo_device.ts";
import { Config, FakePciMachine } from "../../tests/fake_pci_bus.ts";
import type { Device, IoEvent } from "../device.ts";
import type { PciBus } from "../pci/bus.ts";
import { PciCap, PciCapType, Structure } from "./pci_capabilities.ts";
import { Common } from "./pci_common.ts";
import { virtioPci } from "./pci_transport.ts";
import { Status } from "./status.ts";

const SLOT = 3;
const GSI = 16 + SLOT;
const COMMAND = 0x04;
const MEMORY = 2;
const MEMORY_AND_MASTER = 6;
const VENDOR_CAPABILITY = 9;
const MSIX_CAPABILITY = 0x11;

/** The device in a slot, reset, as a machine would put it there. */
function plug(): { bus: PciBus; config: Config; machine: FakePciMachine; device: Device } {
  const machine = new FakePciMachine();
  const bus = machine.thread();
  const type = virtioPci(echo);
  const { context } = createDeviceContext(type);
  const opened = bus.open(SLOT, "echo0", machine.lock(SLOT), machine.state(SLOT));
  const events = Array.from({ length: type.events!({}) }, (): IoEvent => ({
    fd: -1,
    signal() {},
    attach() {},
    detach() {},
  }));
  const device = type.open({}, { ...context, pci: opened.interrupts, events });
  opened.attach(device.pci!);
  bus.reset(SLOT);
  device.reset();
  return { bus, config: new Config(bus, SLOT), machine, device };
}

/** The structures of a device that is brought to DRIVER_OK. */
function start(bus: PciBus, config: Config) {
  const bar = (config.read(0x10) & ~0xf) >>> 0;
  const { handler } = bus.findMemory(bar)!.range;
  for (const status of [1, 3]) handler.write(Common.DEVICE_STATUS, 1, status);
  handler.write(Common.DRIVER_FEATURE_SELECT, 4, 1);
  handler.write(Common.DRIVER_FEATURE, 4, 1);
  for (const status of [11, 15]) handler.write(Common.DEVICE_STATUS, 1, status);
  return handler;
}

/** Where each capability lies, by its ID, in the order of the list. */
function capabilities(config: Config): { id: number; at: number }[] {
  const found = [];
  for (let at = config.read(0x34, 1); at !== 0; at = config.read(at + 1, 1)) {
    found.push({ id: config.read(at, 1), at });
  }
  return found;
}

Deno.test("a driver finds a modern virtio device and its structures", () => {
  const { config, bus } = plug();
  assert.equal(config.read(0), 0x106a_1af4);
  assert.equal(config.read(8, 1), 1, "revision");
  const list = capabilities(config);
  assert.equal(list.filter(({ id }) => id === MSIX_CAPABILITY).length, 1);
  const structures = new Map(
    list.filter(({ id }) => id === VENDOR_CAPABILITY).map(({ at }) => {
      assert.equal(config.read(at + 2, 1) >= 16, true, "cap_len");
      return [config.read(at + 3, 1), config.read(at + PciCap.OFFSET)];
    }),
  );
  assert.deepEqual([...structures.keys()].sort(), Object.values(PciCapType));
  assert.equal(structures.get(PciCapType.NOTIFY), Structure.NOTIFY);
  config.write(COMMAND, 2, MEMORY_AND_MASTER);
  const bar = config.read(0x10) & ~0xf;
  const { range, base } = bus.findMemory((bar >>> 0) + Common.NUM_QUEUES)!;
  assert.equal(base, bar >>> 0);
  assert.equal(range.handler.read(Common.NUM_QUEUES, 2), 2);
});

Deno.test("the configuration window works through the bus", () => {
  const { config } = plug();
  const window =
    capabilities(config).find(({ id, at }) =>
      id === VENDOR_CAPABILITY && config.read(at + 3, 1) === PciCapType.PCI_CFG
    )!.at;
  const access = (offset: number, length: number) => {
    config.write(window + PciCap.BAR, 1, 0);
    config.write(window + PciCap.OFFSET, 4, offset);
    config.write(window + PciCap.LENGTH, 4, length);
  };
  access(Structure.COMMON + Common.DEVICE_STATUS, 1);
  config.write(window + PciCap.CFG_DATA, 1, Status.ACKNOWLEDGE);
  assert.equal(config.read(window + PciCap.CFG_DATA, 1), Status.ACKNOWLEDGE);
  access(Structure.COMMON + Common.QUEUE_SIZE, 2);
  assert.equal(config.read(window + PciCap.CFG_DATA, 2), 256);
});

Deno.test("interrupts are the slot's line, or MSI-X messages once the driver wants these", () => {
  const { config, bus, machine, device } = plug();
  config.write(COMMAND, 2, MEMORY_AND_MASTER);
  const handler = start(bus, config);
  device.action!("change");
  assert.equal(machine.level(GSI), true);
  assert.equal(handler.read(Structure.ISR, 1), 2);
  assert.equal(machine.level(GSI), false);

  const table = (config.read(0x14) & ~0xf) >>> 0;
  const msix = bus.findMemory(table)!.range.handler;
  const words = [0xfee0_0000, 0, 0x41, 0];
  words.forEach((word, i) => msix.write(16 + 4 * i, 4, word));
  const { at } = capabilities(config).find(({ id }) => id === MSIX_CAPABILITY)!;
  config.write(at + 2, 2, 0x8000);
  handler.write(Common.CONFIG_MSIX_VECTOR, 2, 1);
  device.action!("change");
  assert.deepEqual(machine.messages, ["fee00000 0 41"]);
  assert.equal(machine.level(GSI), false);
  assert.equal(handler.read(Structure.ISR, 1), 0);
});

Deno.test("a device that is a bus master no more is reset, one that never was goes on", () => {
  const { config, bus } = plug();
  config.write(COMMAND, 2, MEMORY);
  const handler = start(bus, config);
  const status = () => handler.read(Common.DEVICE_STATUS, 1);
  config.write(COMMAND, 2, MEMORY);
  config.write(COMMAND, 2, MEMORY_AND_MASTER);
  config.write(COMMAND + 1, 1, 4); // the interrupt disable bit
  assert.equal(status(), 15);
  config.write(COMMAND, 2, MEMORY);
  assert.equal(status(), 0);
  config.write(COMMAND, 2, MEMORY_AND_MASTER);
  assert.equal(status(), 0, "it waits for a driver");
  start(bus, config);
  assert.equal(status(), 15);
});

Deno.test("a driver that has not come to DRIVER_OK loses nothing with the bus master bit", () => {
  const { config, bus } = plug();
  config.write(COMMAND, 2, MEMORY_AND_MASTER);
  const { handler } = bus.findMemory((config.read(0x10) & ~0xf) >>> 0)!.range;
  for (const status of [1, 3]) handler.write(Common.DEVICE_STATUS, 1, status);
  config.write(COMMAND, 2, MEMORY);
  assert.equal(handler.read(Common.DEVICE_STATUS, 1), 3);
});
