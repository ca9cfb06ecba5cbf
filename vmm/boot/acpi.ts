/**
 * Lays the ACPI tables out: into guest memory for a kernel that is started directly, or as blobs
 * for firmware to place (`acpi_loader.ts`).
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import { Address } from "../board.ts";
import type { GuestMemory } from "../guest_memory.ts";
import { facs, Header, madt, mcfg, rootTable, Rsdp, rsdp } from "./acpi_tables.ts";
import { dsdt, type DsdtDevices } from "./dsdt.ts";
import type { PciRoot } from "./dsdt_pci.ts";
import { Fadt, fadt } from "./fadt.ts";
import { MP_TABLE } from "./mp_table.ts";
import { wdat } from "./wdat.ts";

/** What the tables describe. */
export interface AcpiBoard {
  /** How many processors, APIC IDs from 0. */
  readonly cpus: number;
  /** The PCI host bridge, if there is one. */
  readonly pci?: PciRoot;
  /** Whether there is a watchdog. */
  readonly watchdog?: boolean;
  /** The board's devices that a guest can't find by looking. */
  readonly devices: Omit<DsdtDevices, "cpus" | "pci">;
}

/** A field that holds a table's address. */
export interface TablePointer {
  /** Offset of the field in the image. */
  readonly at: number;
  /** Bytes of the field. */
  readonly size: 4 | 8;
}

/** All tables but the RSDP, made for one base address. */
export interface AcpiImage {
  /** Their bytes, to be put at a multiple of 64. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Offset and length of each table that has a checksum at byte 9. */
  readonly tables: readonly { readonly at: number; readonly length: number }[];
  /** Every field that holds a table's address. */
  readonly pointers: readonly TablePointer[];
  /** Offset of the RSDT. */
  readonly rsdt: number;
  /** Offset of the XSDT. */
  readonly xsdt: number;
}

/**
 * Builds all tables but the RSDP.
 *
 * @param board What they describe
 * @param base Guest-physical address of the image, a multiple of 64
 * @returns The image
 */
export function buildAcpiTables(board: AcpiBoard, base: number): AcpiImage {
  const { cpus, pci, watchdog, devices } = board;
  const placed: { at: number; bytes: Uint8Array }[] = [];
  let end = 0;
  const place = (bytes: Uint8Array): number => {
    const at = Math.ceil(end / 16) * 16;
    placed.push({ at, bytes });
    end = at + bytes.length;
    return at;
  };

  const facsAt = place(facs()); // first: it needs the image's own 64-byte boundary
  const dsdtAt = place(dsdt({ cpus, ...devices, ...(pci ? { pci } : {}) }));
  const legacy = devices.serialPorts.length > 0;
  const fadtAt = place(fadt(base + facsAt, base + dsdtAt, { legacy, ...devices }));
  const listed = [
    fadtAt,
    place(madt(cpus)),
    ...(pci ? [place(mcfg(pci))] : []),
    ...(watchdog ? [place(wdat())] : []),
  ];
  const addresses = listed.map((at) => base + at);
  const rsdt = place(rootTable(4, addresses));
  const xsdt = place(rootTable(8, addresses));

  const bytes = new Uint8Array(end);
  for (const table of placed) bytes.set(table.bytes, table.at);
  return {
    bytes,
    tables: placed.slice(1).map(({ at, bytes }) => ({ at, length: bytes.length })),
    pointers: [
      { at: fadtAt + Fadt.offsets.firmware_ctrl, size: 4 },
      { at: fadtAt + Fadt.offsets.dsdt, size: 4 },
      { at: fadtAt + Fadt.offsets.x_dsdt, size: 8 },
      ...listed.map((_, i) => ({ at: rsdt + Header.size + 4 * i, size: 4 }) as const),
      ...listed.map((_, i) => ({ at: xsdt + Header.size + 8 * i, size: 8 }) as const),
    ],
    rsdt,
    xsdt,
  };
}

/**
 * Writes the ACPI tables at {@linkcode Address.BIOS}, the RSDP first, where a guest that was not
 * told of it finds it by scanning (ACPI 6.5 §5.2.5.1).
 *
 * @param memory Where to
 * @param board What the tables describe
 * @returns Guest-physical address of the RSDP
 * @throws {DocumentError} If there are too many processors for the room
 * @throws {GuestError} If there is no memory at that place
 */
export function writeAcpiTables(memory: GuestMemory, board: AcpiBoard): number {
  const base = Math.ceil((Address.BIOS + Rsdp.size) / 64) * 64;
  const image = buildAcpiTables(board, base);
  if (base + image.bytes.length > MP_TABLE) {
    throw new DocumentError(
      `ACPI tables for ${board.cpus} processors take ${image.bytes.length} bytes, and there is room ` +
        `for ${MP_TABLE - base}`,
      { hint: "ask for fewer cpus" },
    );
  }
  memory.write(base, image.bytes);
  memory.write(Address.BIOS, rsdp(base + image.rsdt, base + image.xsdt));
  return Address.BIOS;
}
