/**
 * ELF kernels, 32 and 64 bits (System V ABI, chapters 4 and 5): parsing and loading.
 *
 * @module
 */
import { addr64, bytes, struct, u16, u32, u64 } from "../../ffi/struct.ts";
import type { GuestMemory } from "../guest_memory.ts";
import { type ElfNote, parseNotes } from "./elf_notes.ts";
import { fieldError, hex, type Image, imagePart, viewOf } from "./image.ts";
import { requireRam } from "./placement.ts";

/** `Elf64_Ehdr` */
export const Elf64Ehdr = struct("Elf64_Ehdr", {
  e_ident: bytes(16),
  e_type: u16,
  e_machine: u16,
  e_version: u32,
  e_entry: u64,
  e_phoff: addr64,
  e_shoff: addr64,
  e_flags: u32,
  e_ehsize: u16,
  e_phentsize: u16,
  e_phnum: u16,
  e_shentsize: u16,
  e_shnum: u16,
  e_shstrndx: u16,
});

/** `Elf32_Ehdr` */
const Elf32Ehdr = struct("Elf32_Ehdr", {
  e_ident: bytes(16),
  e_type: u16,
  e_machine: u16,
  e_version: u32,
  e_entry: u32,
  e_phoff: u32,
  e_shoff: u32,
  e_flags: u32,
  e_ehsize: u16,
  e_phentsize: u16,
  e_phnum: u16,
  e_shentsize: u16,
  e_shnum: u16,
  e_shstrndx: u16,
});

/** `Elf64_Phdr` */
export const Elf64Phdr = struct("Elf64_Phdr", {
  p_type: u32,
  p_flags: u32,
  p_offset: addr64,
  p_vaddr: u64,
  p_paddr: addr64,
  p_filesz: addr64,
  p_memsz: addr64,
  p_align: addr64,
});

/** `Elf32_Phdr` */
const Elf32Phdr = struct("Elf32_Phdr", {
  p_type: u32,
  p_offset: u32,
  p_vaddr: u32,
  p_paddr: u32,
  p_filesz: u32,
  p_memsz: u32,
  p_flags: u32,
  p_align: u32,
});

const ELFCLASS32 = 1;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
/** e_phnum's escape value: the true count would be in section header 0. */
const PN_XNUM = 0xffff;
const PT_LOAD = 1;
const PT_NOTE = 4;
const EM_386 = 3;
const EM_X86_64 = 62;

/** A PT_LOAD segment. */
export interface ElfSegment {
  /** Byte offset of its program header, for messages. */
  readonly at: number;
  /** The bytes that the file gives it. */
  readonly data: Uint8Array;
  /** Where it is linked to run. */
  readonly vaddr: bigint;
  /** Where it is to lie in physical memory. */
  readonly paddr: number;
  /** Its size there; what `data` doesn't fill is zero. */
  readonly memsz: number;
}

/** A parsed ELF file. */
export interface Elf {
  readonly bits: 32 | 64;
  /** e_entry as the file has it: virtual for some kernels, physical for others. */
  readonly entry: bigint;
  /** Segments to load, in ascending order of physical address, none overlapping another. */
  readonly segments: readonly ElfSegment[];
  readonly notes: readonly ElfNote[];
}

/**
 * Parses an ELF kernel for x86.
 *
 * @param image The file
 * @returns Its entry point, segments and notes; nothing in it points outside the file
 * @throws {ImageError} If it is no ELF for x86 or a field contradicts the file
 */
export function parseElf(image: Image): Elf {
  const ident = imagePart(image, 0, 16, "e_ident", 0);
  if (ident[0] !== 0x7f || ident[1] !== 0x45 || ident[2] !== 0x4c || ident[3] !== 0x46) {
    throw fieldError(image, "e_ident", 0, "does not begin with ELF's magic");
  }
  if (ident[4] !== ELFCLASS32 && ident[4] !== ELFCLASS64) {
    throw fieldError(image, "EI_CLASS", 4, `is ${ident[4]}, neither 1 (32 bits) nor 2 (64 bits)`);
  }
  if (ident[5] !== ELFDATA2LSB) {
    throw fieldError(image, "EI_DATA", 5, `is ${ident[5]}, not 1 (little-endian)`);
  }
  const bits = ident[4] === ELFCLASS64 ? 64 : 32;
  const Ehdr = bits === 64 ? Elf64Ehdr : Elf32Ehdr;
  const Phdr = bits === 64 ? Elf64Phdr : Elf32Phdr;
  imagePart(image, 0, Ehdr.size, "e_ident", 0);
  const view = viewOf(image.bytes);
  const header = new Ehdr(view, 0);
  if (header.e_machine !== EM_386 && header.e_machine !== EM_X86_64) {
    throw fieldError(
      image,
      "e_machine",
      Ehdr.offsets.e_machine,
      `is ${header.e_machine}, not a kernel for x86 (${EM_386} or ${EM_X86_64})`,
    );
  }
  if (header.e_phnum === PN_XNUM) {
    throw fieldError(image, "e_phnum", Ehdr.offsets.e_phnum, "is 65535, more than kernels have");
  }
  if (header.e_phnum > 0 && header.e_phentsize < Phdr.size) {
    throw fieldError(
      image,
      "e_phentsize",
      Ehdr.offsets.e_phentsize,
      `is ${header.e_phentsize}, a program header has ${Phdr.size} bytes`,
    );
  }
  imagePart(
    image,
    header.e_phoff,
    header.e_phnum * header.e_phentsize,
    "e_phoff",
    Ehdr.offsets.e_phoff,
  );
  const segments: ElfSegment[] = [];
  const notes: { at: number; data: Uint8Array; align: number }[] = [];
  for (let i = 0; i < header.e_phnum; i++) {
    const at = header.e_phoff + i * header.e_phentsize;
    const { p_type, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align } = new Phdr(view, at);
    if (p_type !== PT_LOAD && p_type !== PT_NOTE) continue;
    const data = imagePart(
      image,
      p_offset,
      p_filesz,
      `p_filesz of program header ${i}`,
      at + Phdr.offsets.p_filesz,
    );
    if (p_type === PT_NOTE) notes.push({ at, data, align: p_align === 8 ? 8 : 4 });
    else if (p_memsz < p_filesz) {
      throw fieldError(
        image,
        `p_memsz of program header ${i}`,
        at + Phdr.offsets.p_memsz,
        `is ${p_memsz}, less than the ${p_filesz} bytes the file has for it`,
      );
    } else if (p_memsz > 0) {
      segments.push({ at, data, vaddr: BigInt(p_vaddr), paddr: p_paddr, memsz: p_memsz });
    }
  }
  requireApart(image, segments, Phdr.offsets.p_paddr);
  return { bits, entry: BigInt(header.e_entry), segments, notes: parseNotes(image, notes) };
}

/** Sorts segments; two of them on one address would be an attack or a mistake. */
function requireApart(image: Image, segments: ElfSegment[], paddrOffset: number): void {
  segments.sort((a, b) => a.paddr - b.paddr);
  for (let i = 1; i < segments.length; i++) {
    const [low, high] = [segments[i - 1]!, segments[i]!];
    if (low.paddr + low.memsz <= high.paddr) continue;
    throw fieldError(
      image,
      "p_paddr",
      high.at + paddrOffset,
      `is ${hex(high.paddr)}, inside the segment at ${hex(low.paddr)} of ${low.memsz} bytes`,
    );
  }
}

/** The range of memory that a loaded kernel takes. */
export interface LoadedRange {
  readonly start: number;
  readonly end: number;
}

/** How loaders of every kind write to memory. */
export interface LoadOptions {
  /**
   * Clear what the image says is zero (`.bss`). Fresh guest RAM is zero already, and clearing it
   * would make the host allocate it; RAM that is backed by a file or was used before needs it.
   */
  readonly clearBss?: boolean;
}

/**
 * Copies an ELF's segments to their physical addresses.
 *
 * @param memory The guest's memory
 * @param image The file, for messages
 * @param elf What {@linkcode parseElf} gave for it
 * @param options Whether RAM may hold anything but zeros
 * @returns From the lowest to behind the highest address taken
 * @throws {ImageError} If there is nothing to load or a segment doesn't lie in RAM
 */
export function loadElf(
  memory: GuestMemory,
  image: Image,
  elf: Elf,
  options: LoadOptions = {},
): LoadedRange {
  const { segments } = elf;
  const [first, last] = [segments[0], segments.at(-1)];
  if (first === undefined || last === undefined) {
    throw fieldError(image, "e_phnum", elf.bits === 64 ? 56 : 44, "counts no segment to load");
  }
  // From the top, so that a machine that is too small is told all it needs.
  for (const { paddr, memsz, at } of segments.toReversed()) {
    requireRam(memory, image, paddr, memsz, `segment (program header at byte ${hex(at)})`);
  }
  for (const { paddr, memsz, data } of segments) {
    memory.write(paddr, data);
    if (options.clearBss) memory.bytes(paddr + data.length, memsz - data.length).fill(0);
  }
  return { start: first.paddr, end: last.paddr + last.memsz };
}

/**
 * The physical address of an ELF's entry point.
 *
 * @param image The file, for messages
 * @param elf What {@linkcode parseElf} gave for it
 * @param reading What e_entry is where it could be both: Linux means a physical address, multiboot
 *   loaders take a virtual one first
 * @returns An address inside a segment
 * @throws {ImageError} If it lies in no segment either way
 */
export function physicalEntry(image: Image, elf: Elf, reading: "physical" | "virtual"): number {
  const { entry, segments } = elf;
  const physical = segments.some(({ paddr, memsz }) => entry >= paddr && entry < paddr + memsz)
    ? Number(entry)
    : undefined;
  const holder = segments.find(({ vaddr, memsz }) =>
    entry >= vaddr && entry < vaddr + BigInt(memsz)
  );
  const translated = holder && holder.paddr + Number(entry - holder.vaddr);
  const found = reading === "physical" ? physical ?? translated : translated ?? physical;
  if (found === undefined) {
    throw fieldError(image, "e_entry", 24, `is ${hex(entry)}, in none of the segments`);
  }
  return found;
}
