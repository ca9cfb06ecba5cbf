/**
 * The MP table (Intel MultiProcessor Specification 1.4), for guests that know no ACPI.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import { array, bytes, struct, u16, u32, u8 } from "../../ffi/struct.ts";
import { Address, Irq } from "../board.ts";
import type { GuestMemory } from "../guest_memory.ts";
import { ascii, fixChecksum, littleEndian, sequence } from "./byte_sequence.ts";

/** Guest-physical address of the configuration table: the upper half of the BIOS area (§4.2). */
export const MP_TABLE = Address.BIOS + 0x1_0000;

/** MP Floating Pointer Structure (§4.1). */
const FloatingPointer = struct("mpf_intel", {
  signature: bytes(4),
  physptr: u32,
  length: u8,
  specification: u8,
  checksum: u8,
  feature: array(u8, 5),
}, { packed: true });

/** MP Configuration Table Header (§4.2). */
const ConfigHeader = struct("mpc_table", {
  signature: bytes(4),
  length: u16,
  spec: u8,
  checksum: u8,
  oem: bytes(8),
  productid: bytes(12),
  oemptr: u32,
  oemsize: u16,
  oemcount: u16,
  lapic: u32,
  extended_length: u16,
  extended_checksum: u8,
  reserved: u8,
}, { packed: true });

/** Entry types (§4.3). */
const Entry = { PROCESSOR: 0, BUS: 1, IOAPIC: 2, INTERRUPT: 3, LOCAL_INTERRUPT: 4 } as const;

/** Interrupt types (§4.3.4). */
const Interrupt = { INT: 0, NMI: 1, EXTINT: 3 } as const;

/** Polarity and trigger (§4.3.4): 0 as the bus has it; active high (01) and level (11). */
const CONFORMING = 0;
const LEVEL_ACTIVE_HIGH = 0x0d;

const ISA_BUS = 0;
const SPECIFICATION_1_4 = 4;
const APIC_VERSION = 0x14;

/** BIOS data area: segment of the EBDA, and KiB of base memory, by which guests find the EBDA. */
const BDA_EBDA_SEGMENT = 0x40e;
const BDA_BASE_MEMORY = 0x413;

/**
 * Writes an MP table: the floating pointer at the start of the EBDA, the rest in the BIOS area.
 *
 * @param memory Where to
 * @param board `cpus`: how many processors, APIC IDs from 0
 * @returns Guest-physical address of the floating pointer
 * @throws {DocumentError} If the processors' IDs and the I/O APIC's don't fit 8 bits
 * @throws {GuestError} If there is no memory at those places
 */
export function writeMpTable(memory: GuestMemory, { cpus }: { readonly cpus: number }): number {
  if (cpus > 254) {
    throw new DocumentError(`An MP table can't describe ${cpus} processors: APIC IDs end at 254`, {
      hint: "ask for at most 254 cpus, or leave the MP table out",
    });
  }
  const table = configTable(cpus);
  const pointer = new FloatingPointer();
  pointer.signature = ascii("_MP_");
  pointer.physptr = MP_TABLE;
  pointer.length = FloatingPointer.size / 16;
  pointer.specification = SPECIFICATION_1_4;
  fixChecksum(pointer.bytes(), FloatingPointer.offsets.checksum);

  memory.write(MP_TABLE, table);
  memory.write(Address.EBDA, pointer.bytes());
  const bda = memory.view(0x400, 0x100);
  bda.setUint16(BDA_EBDA_SEGMENT - 0x400, Address.EBDA >> 4, true);
  bda.setUint16(BDA_BASE_MEMORY - 0x400, Address.EBDA >> 10, true);
  return Address.EBDA;
}

function configTable(cpus: number): Uint8Array<ArrayBuffer> {
  const ioapic = cpus; // the first ID that no processor has
  const entries = [
    ...Array.from({ length: cpus }, (_, id) => processor(id)),
    sequence(Entry.BUS, ISA_BUS, ascii("ISA   ")),
    sequence(Entry.IOAPIC, ioapic, APIC_VERSION, 1, littleEndian(Address.IOAPIC, 4)),
    ...isaInterrupts(ioapic),
    // Virtual wire mode (§3.6.2.2): the 8259s at LINT0 of the first, NMI at LINT1 of all.
    sequence(Entry.LOCAL_INTERRUPT, Interrupt.EXTINT, CONFORMING, 0, ISA_BUS, 0, 0, 0),
    sequence(Entry.LOCAL_INTERRUPT, Interrupt.NMI, CONFORMING, 0, ISA_BUS, 0, 0xff, 1),
  ];
  const header = new ConfigHeader();
  const out = sequence(header.bytes(), ...entries);
  header.signature = ascii("PCMP");
  header.length = out.length;
  header.spec = SPECIFICATION_1_4;
  header.oem = ascii("HVSH    ");
  header.productid = ascii("BOARD       ");
  header.oemcount = entries.length;
  header.lapic = Address.LAPIC;
  out.set(header.bytes());
  fixChecksum(out, ConfigHeader.offsets.checksum);
  return out;
}

/** §4.3.1: enabled, the first one the bootstrap processor; family 6 with FPU and APIC. */
function processor(id: number): Uint8Array {
  const flags = id === 0 ? 3 : 1;
  const signature = littleEndian(0x600, 4);
  const features = littleEndian(0x201, 4);
  const reserved = littleEndian(0, 8);
  return sequence(Entry.PROCESSOR, id, APIC_VERSION, flags, signature, features, reserved);
}

/** IRQ 0 arrives at pin 2; IRQ 2 is the second 8259's cascade and arrives nowhere. */
function isaInterrupts(ioapic: number): Uint8Array[] {
  const lines = Array.from({ length: 16 }, (_, line) => line).filter((line) => line !== 2);
  return lines.map((line) => {
    const flags = littleEndian(line === Irq.SCI ? LEVEL_ACTIVE_HIGH : CONFORMING, 2);
    const pin = line === 0 ? 2 : line;
    return sequence(Entry.INTERRUPT, Interrupt.INT, flags, ISA_BUS, line, ioapic, pin);
  });
}
