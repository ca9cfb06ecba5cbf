/**
 * The ACPI tables as firmware wants them: blobs with offsets in place of addresses, and the script
 * by which SeaBIOS or OVMF places them, patches the pointers and redoes the checksums (QEMU
 * hw/acpi/bios-linker-loader.c).
 *
 * @module
 */
import { bytes, struct, u32, u8 } from "../../ffi/struct.ts";
import { type AcpiBoard, buildAcpiTables } from "./acpi.ts";
import { Header, Rsdp, rsdp } from "./acpi_tables.ts";
import { ascii, type Bytes, sequence } from "./byte_sequence.ts";

/** Names of the fw_cfg files. */
const TABLES = "etc/acpi/tables";
const RSDP = "etc/acpi/rsdp";
const LOADER = "etc/table-loader";

const ENTRY_SIZE = 128;
const Command = { ALLOCATE: 1, ADD_POINTER: 2, ADD_CHECKSUM: 3 } as const;
/** Where a file goes: anywhere, or into the segment that guests scan for an RSDP. */
const Zone = { HIGH: 1, FSEG: 2 } as const;

const Allocate = struct("BIOSLinkerLoaderEntry.alloc", {
  command: u32,
  file: bytes(56),
  align: u32,
  zone: u8,
}, { packed: true, size: ENTRY_SIZE });

const AddPointer = struct("BIOSLinkerLoaderEntry.pointer", {
  command: u32,
  dest_file: bytes(56),
  src_file: bytes(56),
  pointer_offset: u32,
  size: u8,
}, { packed: true, size: ENTRY_SIZE });

const AddChecksum = struct("BIOSLinkerLoaderEntry.cksum", {
  command: u32,
  file: bytes(56),
  checksum_offset: u32,
  start: u32,
  length: u32,
}, { packed: true, size: ENTRY_SIZE });

/**
 * The tables and their loader script.
 *
 * @param board What the tables describe
 * @returns Files for fw_cfg
 */
export function acpiLoaderFiles(board: AcpiBoard): { name: string; data: Bytes }[] {
  const image = buildAcpiTables(board, 0);
  const script = [
    allocate(TABLES, 64, Zone.HIGH),
    allocate(RSDP, 16, Zone.FSEG),
    ...image.pointers.map(({ at, size }) => addPointer(TABLES, at, size)),
    addPointer(RSDP, Rsdp.offsets.rsdt_address, 4),
    addPointer(RSDP, Rsdp.offsets.xsdt_address, 8),
    ...image.tables.map(({ at, length }) =>
      addChecksum(TABLES, at + Header.offsets.checksum, at, length)
    ),
    addChecksum(RSDP, Rsdp.offsets.checksum, 0, 20),
    addChecksum(RSDP, Rsdp.offsets.extended_checksum, 0, Rsdp.size),
  ];
  return [
    { name: TABLES, data: image.bytes },
    { name: RSDP, data: rsdp(image.rsdt, image.xsdt) },
    { name: LOADER, data: sequence(...script) },
  ];
}

function allocate(file: string, align: number, zone: number): Bytes {
  const entry = new Allocate();
  entry.command = Command.ALLOCATE;
  entry.file.set(ascii(file));
  entry.align = align;
  entry.zone = zone;
  return entry.bytes();
}

/** All pointers lead into the tables' file. */
function addPointer(file: string, at: number, size: number): Bytes {
  const entry = new AddPointer();
  entry.command = Command.ADD_POINTER;
  entry.dest_file.set(ascii(file));
  entry.src_file.set(ascii(TABLES));
  entry.pointer_offset = at;
  entry.size = size;
  return entry.bytes();
}

function addChecksum(file: string, at: number, start: number, length: number): Bytes {
  const entry = new AddChecksum();
  entry.command = Command.ADD_CHECKSUM;
  entry.file.set(ascii(file));
  entry.checksum_offset = at;
  entry.start = start;
  entry.length = length;
  return entry.bytes();
}
