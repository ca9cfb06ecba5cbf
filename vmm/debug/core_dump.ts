/**
 * A guest as an ELF core (System V ABI, chapter 5) that gdb and the crash utility read:
 *
 *     ELF header, program headers
 *     PT_NOTE     the registers of each vCPU
 *     PT_LOAD …   what the page tables of vCPU 0 map, by linear address, if paging is on
 *     PT_LOAD …   each piece of memory, by guest-physical address
 *     the pieces of memory, one behind the other, each once
 *
 * The first kind of PT_LOAD shares the bytes of the second.
 *
 * @module
 */
import { GuestError } from "../../ffi/errors.ts";
import { Elf64Ehdr, Elf64Phdr } from "../boot/elf.ts";
import { vcpuNotes } from "./core_notes.ts";
import { joinBytes } from "./join_bytes.ts";
import type { PagingRegisters } from "./page_walk.ts";
import type { PhysicalMemory } from "./physical_memory.ts";
import type { RegisterValues } from "./register_files.ts";
import { VirtualMemory, type VirtualRange } from "./virtual_memory.ts";

/** 64 bits, little-endian, version 1. */
const IDENT = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
const ET_CORE = 4;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_NOTE = 4;
const PF_RWX = 7;
const PAGE = 4096;
/**
 * The crash utility takes a core whose segments lie on pages, or say that they do by p_align, for one of
 * netdump's, which has no such registers (its netdump.c, is_netdump).
 */
const UNALIGNED = 64;
const CHUNK = 2 ** 20;
/** An e_phnum of 0xffff would mean something else. */
const MOST_SEGMENTS = 0x8000;
/** A guest may map one page as often as it likes: Linux maps one 65536 times, for its %esp fixup. */
const MOST_ALIASES = 16;
/** What is looked at; honest guests have fewer. */
const MOST_RANGES = 2 ** 20;

/** A vCPU's number and registers. */
export interface CoreVcpu {
  readonly cpu: number;
  /** The groups that `NOTE_REGISTERS` names. */
  readonly registers: RegisterValues;
}

/** A PT_LOAD. */
interface Segment {
  vaddr: bigint;
  readonly paddr: number;
  size: number;
}

/** One of linear addresses. */
interface LinearSegment extends Segment {
  /** Whether programs may use it, too. */
  readonly user: boolean;
}

/**
 * Writes a core.
 *
 * @param memory The guest's memory
 * @param vcpus Its vCPUs
 * @param options `physical` leaves linear addresses out
 * @returns The file's bytes in order, in pieces that are overwritten by the next
 */
export function* coreDump(
  memory: PhysicalMemory,
  vcpus: readonly CoreVcpu[],
  options: { physical?: boolean } = {},
): Generator<Uint8Array<ArrayBuffer>> {
  const notes = joinBytes(vcpus.map(({ cpu, registers }) => vcpuNotes(cpu, registers)));
  const mapped = options.physical === true ? [] : linearSegments(memory, vcpus[0]!.registers);
  const pieces = memory.pieces.map(({ base, size }) => ({
    vaddr: BigInt(base),
    paddr: base,
    size,
  }));
  const segments = [...mapped, ...pieces];
  const headersEnd = Elf64Ehdr.size + (1 + segments.length) * Elf64Phdr.size;
  const start = Math.ceil((headersEnd + notes.length) / PAGE) * PAGE + UNALIGNED;
  const head = new Uint8Array(start);
  writeHeaders(head, notes.length, segments, (paddr) => start + inFile(memory, paddr));
  head.set(notes, headersEnd);
  yield head;
  yield* content(memory);
}

/** Where a byte of memory lies behind the headers. */
function inFile(memory: PhysicalMemory, paddr: number): number {
  let offset = 0;
  for (const { base, size } of memory.pieces) {
    if (paddr >= base && paddr - base < size) return offset + paddr - base;
    offset += size;
  }
  throw new RangeError(`0x${paddr.toString(16)} is no memory`);
}

function writeHeaders(
  head: Uint8Array<ArrayBuffer>,
  noteBytes: number,
  segments: readonly Segment[],
  offsetOf: (paddr: number) => number,
): void {
  const view = new DataView(head.buffer);
  const header = new Elf64Ehdr(view);
  header.e_ident = IDENT;
  header.e_type = ET_CORE;
  header.e_machine = EM_X86_64;
  header.e_version = 1;
  header.e_phoff = Elf64Ehdr.size;
  header.e_ehsize = Elf64Ehdr.size;
  header.e_phentsize = Elf64Phdr.size;
  header.e_phnum = 1 + segments.length;
  const note = new Elf64Phdr(view, Elf64Ehdr.size);
  note.p_type = PT_NOTE;
  note.p_offset = Elf64Ehdr.size + (1 + segments.length) * Elf64Phdr.size;
  note.p_filesz = note.p_memsz = noteBytes;
  segments.forEach(({ vaddr, paddr, size }, i) => {
    const load = new Elf64Phdr(view, Elf64Ehdr.size + (1 + i) * Elf64Phdr.size);
    load.p_type = PT_LOAD;
    load.p_flags = PF_RWX;
    load.p_offset = offsetOf(paddr);
    load.p_vaddr = vaddr;
    load.p_paddr = paddr;
    load.p_filesz = load.p_memsz = size;
  });
}

/**
 * What is mapped to memory, neighbours joined whatever their permissions. Where that is too much the
 * kernel's own comes first, and what is larger.
 */
function linearSegments(memory: PhysicalMemory, registers: RegisterValues): Segment[] {
  const virtual = new VirtualMemory(memory, registers as unknown as PagingRegisters);
  const segments: LinearSegment[] = [];
  const aliases = new Map<number, number>();
  for (const { start, physical, size, user } of ranges(virtual)) {
    for (const { base, size: length } of memory.pieces) {
      const from = Math.max(base, physical);
      const to = Math.min(base + length, physical + size);
      if (from >= to) continue;
      const vaddr = start + BigInt(from - physical);
      const last = segments.at(-1);
      if (
        last !== undefined && last.user === user && last.vaddr + BigInt(last.size) === vaddr &&
        last.paddr + last.size === from
      ) {
        last.size += to - from;
        continue;
      }
      const seen = aliases.get(from) ?? 0;
      aliases.set(from, seen + 1);
      if (seen < MOST_ALIASES) segments.push({ vaddr, paddr: from, size: to - from, user });
    }
  }
  if (segments.length <= MOST_SEGMENTS) return segments;
  return segments.sort((a, b) => Number(a.user) - Number(b.user) || b.size - a.size)
    .slice(0, MOST_SEGMENTS)
    .sort((a, b) => a.vaddr < b.vaddr ? -1 : 1);
}

/** What is mapped, as far as the tables make sense. */
function* ranges(virtual: VirtualMemory): Generator<VirtualRange> {
  let count = 0;
  try {
    for (const range of virtual.ranges()) {
      if (++count > MOST_RANGES) return;
      yield range;
    }
  } catch (error) {
    if (!(error instanceof GuestError)) throw error; // a core of such a guest is wanted all the more
  }
}

/** All memory; what was never written is not read to be found zero. */
function* content(memory: PhysicalMemory): Generator<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(CHUNK);
  const zeros = new Uint8Array(CHUNK);
  for (const { base, size } of memory.pieces) {
    let at = base;
    const fill = function* (to: number): Generator<Uint8Array<ArrayBuffer>> {
      for (; at < to; at += Math.min(CHUNK, to - at)) {
        yield zeros.subarray(0, Math.min(CHUNK, to - at));
      }
    };
    for (const { start, end } of memory.written(base, base + size)) {
      yield* fill(start);
      while (at < end) {
        const part = buffer.subarray(0, Math.min(CHUNK, end - at));
        memory.read(at, part);
        yield part;
        at += part.length;
      }
    }
    yield* fill(base + size);
  }
}
