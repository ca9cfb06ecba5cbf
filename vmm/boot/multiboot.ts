/**
 * Starting multiboot 1 kernels (Multiboot Specification 0.6.96): ELF, or the address fields that
 * the header itself may have.
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";
import type { Struct } from "../../ffi/struct.ts";
import { Address } from "../board.ts";
import type { StartState } from "../cpu/start_state.ts";
import type { GuestMemory } from "../guest_memory.ts";
import { decompress } from "./decompress.ts";
import { loadElf, type LoadOptions, parseElf, physicalEntry } from "./elf.ts";
import { detectImage, fieldError, hex, type Image, imagePart, viewOf } from "./image.ts";
import { findMultibootHeader, MultibootHeader } from "./multiboot_header.ts";
import { type Module, writeMultibootInfo } from "./multiboot_info.ts";
import { writeGdt } from "./page_tables.ts";
import { Low, memoryError, pageUp, ramEnd, requireRam } from "./placement.ts";

/** EAX at the kernel's entry point. */
const MULTIBOOT_BOOTLOADER_MAGIC = 0x2bad_b002;
/** Header flags: modules on page boundaries, memory information, video mode. */
const PAGE_ALIGN = 1 << 0;
const MEMORY_INFO = 1 << 1;
const VIDEO_MODE = 1 << 2;
/** Header flag: the address fields tell where to load, not the file's own format. */
const AOUT_KLUDGE = 1 << 16;
/** A loader must refuse flags that it doesn't know among these. */
const REQUIREMENTS = 0xffff;

/** A file to be handed to the kernel. */
export interface MultibootModule extends Image {
  /** Its command line; its path if left out. */
  readonly cmdline?: string;
}

/** What a multiboot kernel is handed. */
export interface MultibootOptions extends LoadOptions {
  /** What follows the kernel's own path in its command line. */
  readonly cmdline?: string;
  /** Modules, in order. */
  readonly modules?: readonly MultibootModule[];
}

/**
 * Puts a multiboot kernel and its modules into memory. A kernel in gzip is unpacked first.
 *
 * @param memory The guest's memory
 * @param image The kernel
 * @param options Command line and modules
 * @returns The state in which the first vCPU begins
 * @throws {ImageError} If the file has no multiboot header, is damaged or doesn't fit
 */
export async function loadMultiboot(
  memory: GuestMemory,
  image: Image,
  options: MultibootOptions = {},
): Promise<StartState> {
  if (detectImage(image.bytes) === "gzip") {
    const limit = Math.max(ramEnd(memory, Address.HIGH), Address.HIGH);
    const bytes = await decompress(image.bytes, { limit, where: image.path });
    image = { path: `${image.path} (unpacked)`, bytes };
  }
  const at = findMultibootHeader(image.bytes);
  if (at === undefined) {
    throw new ImageError(
      `${image.path}: no multiboot header (0x1badb002 with a matching checksum) in the first 8192 bytes`,
    );
  }
  const header = readHeader(image, at);
  const unknown = header.flags & REQUIREMENTS & ~(PAGE_ALIGN | MEMORY_INFO | VIDEO_MODE);
  if (unknown !== 0) {
    throw fieldError(
      image,
      "flags",
      at + 4,
      `asks for features ${hex(unknown)}, which are unknown`,
    );
  }
  // A wish for a video mode is taken and not met: there is no display, and the information that
  // the kernel gets says so by leaving the video fields out.
  const { ip, end } = (header.flags & AOUT_KLUDGE) !== 0
    ? loadByAddresses(memory, image, at, header, options)
    : loadByElf(memory, image, options);
  writeMultibootInfo(memory, image, {
    cmdline: `${image.path} ${options.cmdline ?? ""}`.trimEnd(),
    modules: placeModules(memory, options.modules ?? [], end),
  });
  return {
    mode: "protected",
    ip,
    gdt: writeGdt(memory, Low.GDT, 32),
    registers: { rax: MULTIBOOT_BOOTLOADER_MAGIC, rbx: Low.INFO },
  };
}

/** Reads the header; one without address fields may end the file. */
function readHeader(image: Image, at: number): Struct<typeof MultibootHeader> {
  const header = new MultibootHeader();
  const flags = viewOf(image.bytes).getUint32(at + 4, true);
  const size = (flags & AOUT_KLUDGE) !== 0
    ? MultibootHeader.size
    : MultibootHeader.offsets.header_addr;
  header.bytes().set(imagePart(image, at, size, "flags", at + 4));
  return header;
}

function loadByElf(
  memory: GuestMemory,
  image: Image,
  options: LoadOptions,
): { ip: number; end: number } {
  // Kernels in ELF64 are against the specification's letter, but GRUB takes them, and so GNU Mach
  // and others come as such; their entry code is 32-bit all the same.
  const elf = parseElf(image);
  const ip = physicalEntry(image, elf, "virtual");
  return { ip, end: loadElf(memory, image, elf, options).end };
}

/** Loads by the header's own address fields (§3.1.3). */
function loadByAddresses(
  memory: GuestMemory,
  image: Image,
  at: number,
  header: Struct<typeof MultibootHeader>,
  options: LoadOptions,
): { ip: number; end: number } {
  const { header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr } = header;
  const { offsets } = MultibootHeader;
  const from = at - (header_addr - load_addr);
  if (load_addr > header_addr || from < 0) {
    throw fieldError(
      image,
      "load_addr",
      at + offsets.load_addr,
      `is ${hex(load_addr)}, which puts the text before the file's begin (header_addr is ${
        hex(header_addr)
      })`,
    );
  }
  const length = load_end_addr === 0 ? image.bytes.length - from : load_end_addr - load_addr;
  const data = imagePart(image, from, length, "load_end_addr", at + offsets.load_end_addr);
  const end = Math.max(load_addr + length, bss_end_addr);
  const what = `load_addr (byte ${hex(at + offsets.load_addr)})`;
  requireRam(memory, image, load_addr, end - load_addr, what);
  if (entry_addr < load_addr || entry_addr >= end) {
    throw fieldError(
      image,
      "entry_addr",
      at + offsets.entry_addr,
      `is ${hex(entry_addr)}, outside ${hex(load_addr)}-${hex(end)}`,
    );
  }
  memory.write(load_addr, data);
  if (options.clearBss) memory.bytes(load_addr + length, end - load_addr - length).fill(0);
  return { ip: entry_addr, end };
}

/** Copies the modules in behind the kernel, each on a page boundary. */
function placeModules(
  memory: GuestMemory,
  modules: readonly MultibootModule[],
  kernelEnd: number,
): Module[] {
  let at = pageUp(Math.max(kernelEnd, Address.HIGH));
  return modules.map(({ path, bytes, cmdline }) => {
    const start = at;
    const end = start + bytes.length;
    if (bytes.length > 0) {
      if (ramEnd(memory, start) < end) {
        throw memoryError(memory, { path, bytes }, "the module", end);
      }
      memory.write(start, bytes);
    }
    at = pageUp(end);
    return { start, end, cmdline: cmdline ?? path };
  });
}
