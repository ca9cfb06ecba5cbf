/**
 * Guest-physical memory as one who looks into a machine sees it: pieces of RAM, ROM and files, read and
 * written by copying. Nothing here is a view of the guest's own bytes, so what was read stays as it was,
 * and a look at memory that nobody has touched allocates none of it.
 *
 * @module
 */
import type { GuestMemory } from "../guest_memory.ts";

/** A piece of guest-physical memory. */
export interface MemoryPiece {
  /** Guest-physical address of its first byte. */
  readonly base: number;
  /** Bytes. */
  readonly size: number;
  /** Whether the guest was told that it is RAM. */
  readonly ram: boolean;
}

/** Memory to look at. Addresses and lengths are numbers, exact to 2^53. */
export interface PhysicalMemory {
  /** The pieces in ascending order of address. */
  readonly pieces: readonly MemoryPiece[];
  /**
   * Copies bytes out.
   *
   * @param address Guest-physical address
   * @param target Takes as many bytes as it has
   * @returns False, and nothing is copied, if not all of them lie in one piece
   */
  read(address: number, target: Uint8Array<ArrayBuffer>): boolean;
  /**
   * Copies bytes in.
   *
   * @param address Guest-physical address
   * @param bytes What to write
   * @returns False, and nothing is written, if not all of them lie in one piece
   */
  write(address: number, bytes: Uint8Array<ArrayBuffer>): boolean;
  /**
   * Where something may lie that is not zero.
   *
   * @param address Guest-physical address to start from
   * @param end Guest-physical address to end at
   * @returns Ranges in ascending order; what is between them reads as zeros or is no memory
   */
  written(address: number, end: number): Iterable<MemoryRange>;
}

/** A range of guest-physical memory. */
export interface MemoryRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The piece that holds a range whole.
 *
 * @param pieces The pieces
 * @param address Guest-physical address
 * @param length Bytes
 * @returns Its index, or -1
 */
export function findPiece(pieces: readonly MemoryPiece[], address: number, length: number): number {
  return pieces.findIndex(({ base, size }) =>
    address >= base && address - base < size && length <= size - (address - base)
  );
}

/** The memory of a machine of this process. */
export class OwnMemory implements PhysicalMemory {
  readonly pieces: readonly MemoryPiece[];
  readonly #memory: GuestMemory;

  /**
   * @param memory The machine's memory, as {@linkcode Machine.inspect} gives it
   */
  constructor(memory: GuestMemory) {
    this.#memory = memory;
    this.pieces = memory.regions.map(({ base, buffer, ram }) => ({
      base,
      size: buffer.byteLength,
      ram,
    }));
  }

  read(address: number, target: Uint8Array<ArrayBuffer>): boolean {
    if (this.#memory.find(address, target.length) < 0) return false;
    target.set(this.#memory.bytes(address, target.length));
    return true;
  }

  write(address: number, bytes: Uint8Array<ArrayBuffer>): boolean {
    if (this.#memory.find(address, bytes.length) < 0) return false;
    this.#memory.write(address, bytes);
    return true;
  }

  *written(address: number, end: number): Generator<MemoryRange> {
    for (const { base, size } of this.pieces) {
      const range = { start: Math.max(base, address), end: Math.min(base + size, end) };
      if (range.start < range.end) yield range;
    }
  }
}
