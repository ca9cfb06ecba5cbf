import assert from "node:assert/strict";
import { DocumentError } from "../../ffi/errors.ts";
import { Address } from "../board.ts";
import { GuestMemory } from "../guest_memory.ts";
import { MP_TABLE, writeMpTable } from "./mp_table.ts";

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
}

function written(cpus: number): { memory: GuestMemory; config: Uint8Array; entries: number[][] } {
  const memory = new GuestMemory([{ base: 0, buffer: new ArrayBuffer(0x10_0000), ram: true }]);
  assert.equal(writeMpTable(memory, { cpus }), Address.EBDA);
  const length = memory.view(MP_TABLE, 44).getUint16(4, true);
  const config = memory.bytes(MP_TABLE, length);
  const entries: number[][] = [];
  for (let at = 44; at < length;) {
    const size = config[at] === 0 ? 20 : 8;
    entries.push(Array.from(config.subarray(at, at + size)));
    at += size;
  }
  return { memory, config, entries };
}

Deno.test("the floating pointer is where the BIOS data area says the EBDA starts", () => {
  const { memory } = written(1);
  const pointer = memory.bytes(Address.EBDA, 16);
  assert.equal(new TextDecoder().decode(pointer.subarray(0, 4)), "_MP_");
  assert.equal(sum(pointer), 0);
  assert.equal(memory.readU32(Address.EBDA + 4), MP_TABLE);
  assert.equal(memory.view(0x40e, 2).getUint16(0, true) * 16, Address.EBDA);
  assert.equal(memory.view(0x413, 2).getUint16(0, true), 639);
});

Deno.test("the configuration table has a right checksum and counts its entries", () => {
  const { config, entries } = written(2);
  assert.equal(new TextDecoder().decode(config.subarray(0, 4)), "PCMP");
  assert.equal(sum(config), 0);
  assert.equal(new DataView(config.buffer, config.byteOffset).getUint16(34, true), entries.length);
});

Deno.test("processors come first, one of them the bootstrap processor; the I/O APIC has its own ID", () => {
  const { entries } = written(3);
  assert.deepEqual(entries.slice(0, 3).map(([type, id, , flags]) => [type, id, flags]), [
    [0, 0, 3],
    [0, 1, 1],
    [0, 2, 1],
  ]);
  const ioapic = entries.find(([type]) => type === 2)!;
  assert.deepEqual(ioapic, [2, 3, 0x14, 1, 0, 0, 0xc0, 0xfe]);
});

Deno.test("ISA interrupts go to the pins of their numbers, IRQ 0 to pin 2, SCI level-triggered", () => {
  const interrupts = written(1).entries.filter(([type]) => type === 3);
  const pins = interrupts.map((entry) => [entry[5], entry[7]]);
  assert.deepEqual(pins[0], [0, 2]);
  assert.equal(pins.length, 15);
  assert.ok(pins.slice(1).every(([line, pin]) => line === pin && line !== 2));
  assert.deepEqual(interrupts.filter((entry) => entry[2] !== 0).map((entry) => entry[5]), [9]);
});

Deno.test("254 processors fit, more are refused", () => {
  assert.equal(written(254).entries.filter(([type]) => type === 0).length, 254);
  assert.throws(() => written(255), DocumentError);
});
