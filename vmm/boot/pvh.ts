/**
 * Starting an ELF kernel by PVH: 32-bit code, paging off, EBX pointing to `hvm_start_info`
 * (xen/include/public/arch-x86/hvm/start_info.h, docs/misc/pvh.pandoc).
 *
 * @module
 */
import { addr64, struct, u32 } from "../../ffi/struct.ts";
import { Address } from "../board.ts";
import type { StartState } from "../cpu/start_state.ts";
import type { GuestMemory } from "../guest_memory.ts";
import { memoryMap } from "./e820.ts";
import { type Elf, loadElf, type LoadOptions } from "./elf.ts";
import type { Image } from "./image.ts";
import { writeGdt } from "./page_tables.ts";
import { Low, memoryError, placeCmdline, placeInitrd, ramEnd } from "./placement.ts";
import { ImageError } from "../../ffi/errors.ts";

/** `struct hvm_start_info`, version 1 */
export const HvmStartInfo = struct("hvm_start_info", {
  magic: u32,
  version: u32,
  flags: u32,
  nr_modules: u32,
  modlist_paddr: addr64,
  cmdline_paddr: addr64,
  rsdp_paddr: addr64,
  memmap_paddr: addr64,
  memmap_entries: u32,
  reserved: u32,
});

/** `struct hvm_modlist_entry` */
export const HvmModlistEntry = struct("hvm_modlist_entry", {
  paddr: addr64,
  size: addr64,
  cmdline_paddr: addr64,
  reserved: addr64,
});

/** `struct hvm_memmap_table_entry`; its types are E820's. */
export const HvmMemmapTableEntry = struct("hvm_memmap_table_entry", {
  addr: addr64,
  size: addr64,
  type: u32,
  reserved: u32,
});

/** XEN_HVM_START_MAGIC_VALUE */
const XEN_HVM_START_MAGIC_VALUE = 0x336e_c578;
const MODLIST = Low.INFO + HvmStartInfo.size;
const MEMMAP = MODLIST + HvmModlistEntry.size;
const MEMMAP_ROOM = Math.floor((Address.LOADER_END - MEMMAP) / HvmMemmapTableEntry.size);

/** What a PVH kernel is handed. */
export interface PvhOptions extends LoadOptions {
  /** The initial RAM disk, as the only module. */
  readonly initrd?: Image;
  /** The command line. */
  readonly cmdline?: string;
  /** Guest-physical address of the ACPI RSDP. */
  readonly acpiRsdp?: number;
}

/**
 * Puts a PVH kernel into memory.
 *
 * @param memory The guest's memory
 * @param image The ELF
 * @param elf What `parseElf` gave for it
 * @param entry The entry point that its note names
 * @param options RAM disk, command line and tables
 * @returns The state in which the first vCPU begins
 * @throws {ImageError} If the kernel or what it is handed doesn't fit
 */
export function loadPvh(
  memory: GuestMemory,
  image: Image,
  elf: Elf,
  entry: number,
  options: PvhOptions = {},
): StartState {
  if (!elf.segments.some(({ paddr, memsz }) => entry >= paddr && entry < paddr + memsz)) {
    throw new ImageError(
      `${image.path}: XEN_ELFNOTE_PHYS32_ENTRY is 0x${entry.toString(16)}, in none of the segments`,
    );
  }
  const { end } = loadElf(memory, image, elf, options);
  if (ramEnd(memory, Low.INFO) < Address.LOADER_END) {
    throw memoryError(memory, image, "hvm_start_info", Address.LOADER_END);
  }
  const ranges = memoryMap(memory);
  if (ranges.length > MEMMAP_ROOM) {
    throw new ImageError(`${image.path}: memory has ${ranges.length} pieces, too many for PVH`);
  }
  memory.bytes(Low.INFO, Address.LOADER_END - Low.INFO).fill(0);
  const info = new HvmStartInfo(memory.view(Low.INFO, HvmStartInfo.size));
  info.magic = XEN_HVM_START_MAGIC_VALUE;
  info.version = 1;
  info.cmdline_paddr = placeCmdline(memory, image, options.cmdline ?? "", Infinity);
  info.rsdp_paddr = options.acpiRsdp ?? 0;
  const { initrd } = options;
  if (initrd !== undefined && initrd.bytes.length > 0) {
    const module = new HvmModlistEntry(memory.view(MODLIST, HvmModlistEntry.size));
    module.paddr = placeInitrd(memory, initrd, end, Address.FOUR_GIB - 1);
    module.size = initrd.bytes.length;
    info.modlist_paddr = MODLIST;
    info.nr_modules = 1;
  }
  info.memmap_paddr = MEMMAP;
  info.memmap_entries = ranges.length;
  ranges.forEach(({ addr, size, type }, i) => {
    const view = memory.view(MEMMAP + i * HvmMemmapTableEntry.size, HvmMemmapTableEntry.size);
    Object.assign(new HvmMemmapTableEntry(view), { addr, size, type });
  });
  return {
    mode: "protected",
    ip: entry,
    gdt: writeGdt(memory, Low.GDT, 32),
    registers: { rbx: Low.INFO },
  };
}
