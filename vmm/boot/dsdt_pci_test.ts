import assert from "node:assert/strict";
import { string } from "./aml.ts";
import { dsdt, type DsdtDevices } from "./dsdt.ts";

const root = {
  ecam: 0xe000_0000,
  buses: 1,
  windows: [{ base: 0xc000_0000, size: 0x2000_0000 }],
};
const bare: DsdtDevices = {
  cpus: 1,
  serialPorts: [],
  i8042: false,
  rtc: false,
  pvpanic: false,
  fwCfg: false,
};

const text = (name: string) => new TextEncoder().encode(name).toHex();
const le32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer).toHex();
const table = (devices: Partial<DsdtDevices>) => dsdt({ ...bare, ...devices }).toHex();

Deno.test("INTA of each slot has its line of the I/O APIC", () => {
  const aml = table({ pci: root });
  for (let slot = 1; slot < 32; slot++) {
    const address = "0c" + le32(slot * 0x1_0000 + 0xffff);
    const gsi = "0a" + (16 + slot % 8).toString(16);
    assert.ok(aml.includes("120b04" + address + "0000" + gsi), `slot ${slot}`);
  }
  assert.ok(!aml.includes("0cffff0000"), "the bridge has none");
});

Deno.test("each slot is a device with an address, a number and a way to let it go", () => {
  const aml = table({ pci: root });
  for (let slot = 1; slot < 32; slot++) {
    const address = text("_ADR") + "0c" + le32(slot * 0x1_0000);
    const number = text("_SUN") + (slot === 1 ? "01" : "0a" + slot.toString(16).padStart(2, "0"));
    const name = `S0${slot.toString(16).toUpperCase().padStart(2, "0")}`;
    const at = aml.indexOf(text(name) + "08" + address + "08" + number);
    assert.ok(at > 0, name);
    assert.ok(aml.slice(at, at + 120).includes(text("_EJ0")));
  }
  assert.ok(!aml.includes(text("S000")), "slot 0 is the bridge");
});

Deno.test("the event's handler is there with PCI, and not without", () => {
  const handler = text("_E01") + "08" + "5c2f03" + text("_SB_PCI0HPEV");
  assert.ok(table({ pci: root }).includes(handler));
  assert.ok(!table({}).includes(text("_E01")));
});

Deno.test("the hot-plug registers are claimed, and PCI's ports are those that it passes down", () => {
  const aml = table({ pci: root });
  assert.ok(aml.includes("4701" + "00ae00ae" + "010c"));
  assert.ok(aml.includes("880d00010c03" + "0000" + "00c0" + "ffff" + "0000" + "0040"));
});

Deno.test("virtio devices that are not on PCI are told with their page and interrupt", () => {
  const aml = table({
    virtioMmio: [{ base: 0xe800_0000, irq: 5 }, { base: 0xe800_1000, irq: 23 }],
  });
  const resources = (base: number, irq: number) =>
    "86090001" + le32(base) + le32(0x1000) + "89060009" + "01" + le32(irq) + "7900";
  assert.ok(aml.includes(resources(0xe800_0000, 5)));
  assert.ok(aml.includes(resources(0xe800_1000, 23)));
  assert.ok(aml.includes(string("LNRO0005").toHex()));
  assert.ok(!table({}).includes(string("LNRO0005").toHex()));
});
