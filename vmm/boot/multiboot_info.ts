/**
 * The information that a multiboot 1 kernel finds by EBX (Multiboot Specification 0.6.96 §3.3).
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";
import { addr64, bytes, struct, u32 } from "../../ffi/struct.ts";
import { Address } from "../board.ts";
import type { GuestMemory } from "../guest_memory.ts";
import { memoryMap } from "./e820.ts";
import type { Image } from "./image.ts";
import { Low, memoryError, ramEnd } from "./placement.ts";

/** `struct multiboot_info`, up to the fields for graphics. */
export const MultibootInfo = struct("multiboot_info", {
  flags: u32,
  mem_lower: u32,
  mem_upper: u32,
  boot_device: u32,
  cmdline: u32,
  mods_count: u32,
  mods_addr: u32,
  syms: bytes(16),
  mmap_length: u32,
  mmap_addr: u32,
  drives_length: u32,
  drives_addr: u32,
  config_table: u32,
  boot_loader_name: u32,
  apm_table: u32,
});

/** `struct multiboot_mod_list` */
export const MultibootModList = struct("multiboot_mod_list", {
  mod_start: u32,
  mod_end: u32,
  cmdline: u32,
  pad: u32,
});

/** `struct multiboot_mmap_entry`; `size` counts what follows it. */
export const MultibootMmapEntry = struct("multiboot_mmap_entry", {
  size: u32,
  addr: addr64,
  len: addr64,
  type: u32,
}, { packed: true });

/** `flags`: which fields are valid. */
const INFO_MEMORY = 1 << 0;
const INFO_CMDLINE = 1 << 2;
const INFO_MODS = 1 << 3;
const INFO_MEM_MAP = 1 << 6;
const INFO_BOOT_LOADER_NAME = 1 << 9;

const KIB = 1024;

/** A module that lies in memory. */
export interface Module {
  readonly start: number;
  /** First address behind it. */
  readonly end: number;
  readonly cmdline: string;
}

/**
 * Writes the information at `Low.INFO`.
 *
 * @param memory The guest's memory
 * @param image The kernel, for messages
 * @param content Its command line and modules
 * @throws {ImageError} If all that doesn't fit below `Address.LOADER_END`
 */
export function writeMultibootInfo(
  memory: GuestMemory,
  image: Image,
  content: { cmdline: string; modules: readonly Module[] },
): void {
  if (ramEnd(memory, Low.INFO) < Address.LOADER_END) {
    throw memoryError(memory, image, "the multiboot information", Address.LOADER_END);
  }
  let next: number = Low.INFO;
  const take = (size: number) => {
    const at = next;
    next = Math.ceil((at + size) / 4) * 4;
    if (next > Address.LOADER_END) {
      throw new ImageError(
        `${image.path}: the command lines and the memory map need more than ${
          Address.LOADER_END - Low.INFO
        } bytes together`,
        { hint: "give fewer modules or shorter command lines" },
      );
    }
    return at;
  };
  const text = (value: string) => {
    const encoded = new TextEncoder().encode(`${value}\0`);
    if (encoded.indexOf(0) !== encoded.length - 1) {
      throw new ImageError(`${image.path}: a command line has a zero byte inside`);
    }
    const at = take(encoded.length);
    memory.write(at, encoded);
    return at;
  };

  const info = new MultibootInfo(memory.view(take(MultibootInfo.size), MultibootInfo.size));
  info.bytes().fill(0);
  info.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODS | INFO_MEM_MAP | INFO_BOOT_LOADER_NAME;
  info.mem_lower = Math.floor(Math.min(ramEnd(memory, 0), Address.EBDA) / KIB);
  info.mem_upper = Math.floor((ramEnd(memory, Address.HIGH) - Address.HIGH) / KIB);
  info.cmdline = text(content.cmdline);
  info.boot_loader_name = text("hvsh");

  const { modules } = content;
  info.mods_count = modules.length;
  info.mods_addr = take(modules.length * MultibootModList.size);
  modules.forEach(({ start, end, cmdline }, i) => {
    const at = info.mods_addr + i * MultibootModList.size;
    const entry = new MultibootModList(memory.view(at, MultibootModList.size));
    Object.assign(entry, { mod_start: start, mod_end: end, cmdline: text(cmdline), pad: 0 });
  });

  const ranges = memoryMap(memory);
  info.mmap_length = ranges.length * MultibootMmapEntry.size;
  info.mmap_addr = take(info.mmap_length);
  ranges.forEach(({ addr, size: len, type }, i) => {
    const at = info.mmap_addr + i * MultibootMmapEntry.size;
    const entry = new MultibootMmapEntry(memory.view(at, MultibootMmapEntry.size));
    Object.assign(entry, { size: MultibootMmapEntry.size - 4, addr, len, type });
  });
}
