/**
 * The ACPI tables of the board, each as bytes: what they point at is given by address, where they
 * lie is not theirs to know. FADT and DSDT have files of their own, placing is in `acpi.ts`.
 *
 * @module
 */
import { addr64, bytes, struct, u32, u8 } from "../../ffi/struct.ts";
import { Address, Irq } from "../board.ts";
import { ascii, type Bytes, fixChecksum, littleEndian, sequence } from "./byte_sequence.ts";

/** The system description table header (ACPI 6.5 §5.2.6). */
export const Header = struct("acpi_table_header", {
  signature: bytes(4),
  length: u32,
  revision: u8,
  checksum: u8,
  oem_id: bytes(6),
  oem_table_id: bytes(8),
  oem_revision: u32,
  creator_id: bytes(4),
  creator_revision: u32,
}, { packed: true });

/** The Root System Description Pointer (§5.2.5.3). */
export const Rsdp = struct("acpi_table_rsdp", {
  signature: bytes(8),
  checksum: u8,
  oem_id: bytes(6),
  revision: u8,
  rsdt_address: u32,
  length: u32,
  xsdt_address: addr64,
  extended_checksum: u8,
  reserved: bytes(3),
}, { packed: true });

/** PCI's memory-mapped configuration space. */
export interface Ecam {
  /** Guest-physical address of bus 0's configuration space. */
  readonly ecam: number;
  /** How many buses it holds, 1 to 256. */
  readonly buses: number;
}

/**
 * A whole table: header, body and checksum.
 *
 * @param signature Four letters
 * @param revision The table's own revision
 * @param body What follows the header
 * @returns The table
 */
export function table(signature: string, revision: number, body: Uint8Array): Bytes {
  const header = new Header();
  const out = sequence(header.bytes(), body);
  header.signature = ascii(signature);
  header.length = out.length;
  header.revision = revision;
  header.oem_id = ascii("HVSH  ");
  header.oem_table_id = ascii("HVSHBRD ");
  header.oem_revision = 1;
  header.creator_id = ascii("HVSH");
  header.creator_revision = 1;
  out.set(header.bytes());
  fixChecksum(out, Header.offsets.checksum);
  return out;
}

/**
 * RSDP (§5.2.5.3), revision 2.
 *
 * @param rsdt Address of the RSDT, for guests that know ACPI 1.0 only
 * @param xsdt Address of the XSDT
 * @returns Its 36 bytes
 */
export function rsdp(rsdt: number, xsdt: number): Bytes {
  const pointer = new Rsdp();
  pointer.signature = ascii("RSD PTR ");
  pointer.oem_id = ascii("HVSH  ");
  pointer.revision = 2;
  pointer.rsdt_address = rsdt;
  pointer.length = Rsdp.size;
  pointer.xsdt_address = xsdt;
  const out = pointer.bytes();
  fixChecksum(out.subarray(0, 20), Rsdp.offsets.checksum);
  fixChecksum(out, Rsdp.offsets.extended_checksum);
  return out;
}

/**
 * RSDT (§5.2.7) or XSDT (§5.2.8): the list of tables.
 *
 * @param entrySize 4 for RSDT, 8 for XSDT
 * @param addresses Where the tables lie
 * @returns The table
 */
export function rootTable(entrySize: 4 | 8, addresses: readonly number[]): Bytes {
  const entries = addresses.map((address) => littleEndian(address, entrySize));
  return table(entrySize === 4 ? "RSDT" : "XSDT", 1, sequence(...entries));
}

/**
 * FACS (§5.2.10): the waking vector and the global lock, in memory that the guest writes. It has
 * no checksum and wants a 64-byte boundary.
 *
 * @returns Its 64 bytes
 */
export function facs(): Bytes {
  const out = new Uint8Array(64);
  out.set(ascii("FACS"));
  out[4] = 64; // length
  out[32] = 2; // version
  return out;
}

/**
 * MADT (§5.2.12): processors, the I/O APIC and how ISA interrupts reach it.
 *
 * @param cpus How many processors; their APIC IDs and UIDs count from 0
 * @returns The table
 */
export function madt(cpus: number): Bytes {
  const u16le = (value: number) => littleEndian(value, 2);
  const u32le = (value: number) => littleEndian(value, 4);
  const entries: Bytes[] = [];
  for (let id = 0; id < cpus; id++) {
    // §5.2.12.2 and §5.2.12.12: IDs of 255 and above need the x2APIC form. Flags: enabled.
    entries.push(
      id < 255
        ? sequence(0, 8, id, id, u32le(1))
        : sequence(9, 16, 0, 0, u32le(id), u32le(1), u32le(id)),
    );
  }
  entries.push(sequence(1, 12, 0, 0, u32le(Address.IOAPIC), u32le(0)));
  // The PIT's IRQ 0 arrives at pin 2; flags 0: as the ISA bus has it (§5.2.12.5).
  entries.push(sequence(2, 10, 0, 0, u32le(2), u16le(0)));
  // SCI is level-triggered (3 << 2) and active high (1), as the PM device drives it.
  entries.push(sequence(2, 10, 0, Irq.SCI, u32le(Irq.SCI), u16le(0x0d)));
  // NMI is LINT1 of every processor (§5.2.12.7, §5.2.12.13).
  entries.push(sequence(4, 6, 0xff, u16le(0), 1));
  if (cpus > 255) entries.push(sequence(10, 12, u16le(0), u32le(0xffff_ffff), 1, 0, 0, 0));
  // Flag PCAT_COMPAT: a PC's two 8259s are there too.
  return table("APIC", 5, sequence(u32le(Address.LAPIC), u32le(1), ...entries));
}

/**
 * MCFG (PCI Firmware Specification 3.3 §4.1.2): where PCI's configuration space lies.
 *
 * @param pci Its place
 * @returns The table
 */
export function mcfg({ ecam, buses }: Ecam): Bytes {
  const segment = littleEndian(0, 2);
  const lastBus = buses - 1;
  const reserved = littleEndian(0, 4);
  const allocation = sequence(littleEndian(ecam, 8), segment, 0, lastBus, reserved);
  return table("MCFG", 1, sequence(littleEndian(0, 8), allocation));
}
