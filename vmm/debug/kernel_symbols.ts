/**
 * A running Linux in a guest's memory: its own symbols, and where its memory lies. The kernel's image is
 * one piece of physical memory wherever it was loaded, and what its tables say has been relocated with it,
 * so that nothing has to be known of how it came there.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { decodeKallsyms, DIGIT_TOKENS } from "./kallsyms.ts";
import type { MemoryRange, PhysicalMemory } from "./physical_memory.ts";
import type { Symbol } from "./symbols.ts";

/** A kernel that was found. */
export interface KernelInMemory {
  readonly symbols: readonly Symbol[];
  /** What to take from a virtual address of the kernel's image for its guest-physical one. */
  readonly virtualMinusPhysical: bigint;
  /** The virtual address of a symbol. */
  address(name: string): bigint | undefined;
}

const PAGE = 4096;
const CHUNK = 4 * 2 ** 20;
/** What lies before and behind the token table. */
const BEFORE = 32 * 2 ** 20;
const BEHIND = 8 * 2 ** 20;
/** Kernels lie low, at 16 MiB if nothing moves them; looking on would be slow for nothing. */
const MOST_LOOKED_AT = 8 * 2 ** 30;
/** Places that look like a token table's digits; a hostile guest has as many as it likes. */
const MOST_TRIES = 16;
/** CONFIG_PHYSICAL_ALIGN is at least this, and so is what page tables map the image by. */
const ALIGNMENT = 2n ** 21n;

/**
 * Finds the kernel.
 *
 * @param memory The guest's memory
 * @returns The kernel; undefined if there is none with kallsyms
 */
export function findKernel(memory: PhysicalMemory): KernelInMemory | undefined {
  let tries = 0;
  for (const at of occurrences(memory, DIGIT_TOKENS)) {
    if (++tries > MOST_TRIES) return undefined;
    const piece = memory.pieces.find(({ base, size }) => at >= base && at < base + size)!;
    const start = Math.max(piece.base, at - (at % PAGE) - BEFORE);
    const window = new Uint8Array(Math.min(piece.base + piece.size, at + BEHIND) - start);
    if (!memory.read(start, window)) continue;
    const symbols = decodeKallsyms(window, at - start);
    if (symbols === undefined) continue;
    const byName = new Map(symbols.map(({ name, address }) => [name, address]));
    const address = (name: string) => byName.get(name);
    const virtualMinusPhysical = placement(window, start, address);
    if (virtualMinusPhysical !== undefined) return { symbols, virtualMinusPhysical, address };
  }
  return undefined;
}

/** Where the kernel's banner lies says where all of it does. */
function placement(
  window: Uint8Array<ArrayBuffer>,
  start: number,
  address: (name: string) => bigint | undefined,
): bigint | undefined {
  const banner = address("linux_banner");
  if (banner === undefined) return undefined;
  const bytes = Buffer.from(window.buffer);
  for (
    let at = bytes.indexOf("Linux version ");
    at >= 0;
    at = bytes.indexOf("Linux version ", at + 1)
  ) {
    const distance = banner - BigInt(start + at);
    if (distance % ALIGNMENT === 0n) return distance;
  }
  return undefined;
}

/** Where some bytes occur, in ascending order of address. */
function* occurrences(memory: PhysicalMemory, needle: Uint8Array): Generator<number> {
  const chunk = Buffer.alloc(CHUNK + needle.length);
  let left = MOST_LOOKED_AT;
  for (const range of writtenRam(memory)) {
    for (let start = range.start; start < range.end; start += CHUNK) {
      const length = Math.min(chunk.length, range.end - start);
      const bytes = chunk.subarray(0, length);
      left -= length;
      if (left < 0 || !memory.read(start, bytes as Uint8Array<ArrayBuffer>)) return;
      for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + 1)) {
        if (at < CHUNK) yield start + at;
      }
    }
  }
}

function* writtenRam(memory: PhysicalMemory): Generator<MemoryRange> {
  for (const { base, size, ram } of memory.pieces) {
    if (ram) yield* memory.written(base, base + size);
  }
}
