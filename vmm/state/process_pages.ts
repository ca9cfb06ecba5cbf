/**
 * Memory of a machine of another process, as it is saved: by the files behind it, mapped, or, where that
 * process has pages of its own, by /proc/PID/mem.
 *
 * @module
 */
import { populatePages } from "../../ffi/memory_advice.ts";
import { hideTraps, type TrapByte } from "../debug/code_patches.ts";
import { ProcessMemory, type SlotRecord } from "../debug/process_memory.ts";
import type { SavedRegion } from "./regions.ts";
import { CHUNK, type SavedMemory } from "./save_stream.ts";

/** Pieces that are looked at before the first of them is used again. */
const BUFFERS = 128;
/** What is mapped ahead at once. */
const AHEAD = 2 ** 20;

/** Memory of another process's machine. */
export class ProcessPages implements SavedMemory, Disposable {
  readonly #memory: ProcessMemory;
  readonly #traps: readonly TrapByte[];
  readonly #buffers = Array.from({ length: BUFFERS }, () => new Uint8Array(0));
  #next = 0;

  /**
   * @param pid The process
   * @param slots The machine's memory
   * @param traps What a debugger has put into the guest's code, which is not saved
   */
  constructor(pid: number, slots: readonly SlotRecord[], traps: readonly TrapByte[]) {
    this.#memory = new ProcessMemory(pid, slots);
    this.#traps = traps;
  }

  *pieces(region: SavedRegion): Generator<{ offset: number; bytes: Uint8Array }> {
    const { base } = region;
    const mapping = this.#traps.length > 0 ? undefined : this.#memory.map(base);
    if (mapping === undefined) return yield* this.copies(region);
    const { address, buffer } = mapping;
    let ahead = 0;
    for (const { offset, length, end } of this.#places(region)) {
      if (offset >= ahead) {
        ahead = Math.min(offset + AHEAD, end);
        populatePages(address + BigInt(offset), ahead - offset);
      }
      yield { offset, bytes: new Uint8Array(buffer, offset, length) };
    }
  }

  /**
   * The same as copies, of memory that may be changing.
   *
   * @param region The region
   */
  *copies(region: SavedRegion): Generator<{ offset: number; bytes: Uint8Array }> {
    for (const { offset, length } of this.#places(region)) {
      yield { offset, bytes: this.read(region.base + offset, length) };
    }
  }

  /** Where pieces are that may have something in them, each with where the range ends that it is of. */
  *#places(
    { base, size }: SavedRegion,
  ): Generator<{ offset: number; length: number; end: number }> {
    let done = 0;
    for (const range of this.#memory.written(base, base + size)) {
      // Records lie on multiples of their size; what two ranges share is read once.
      const start = Math.floor((range.start - base) / CHUNK) * CHUNK;
      const end = Math.min(Math.ceil((range.end - base) / CHUNK) * CHUNK, size);
      for (let offset = Math.max(done, start); offset < end; offset += CHUNK) {
        yield { offset, length: Math.min(CHUNK, size - offset), end };
      }
      done = Math.max(done, end);
    }
  }

  /**
   * Copies a piece, which may be changing.
   *
   * @param address Guest-physical address
   * @param length Bytes, at most 64 KiB, within a region
   * @returns The bytes; they stay until 128 others have been read
   */
  read(address: number, length: number): Uint8Array<ArrayBuffer> {
    const index = this.#next++ % BUFFERS;
    if (this.#buffers[index]!.length === 0) this.#buffers[index] = new Uint8Array(CHUNK);
    const bytes = this.#buffers[index]!.subarray(0, length);
    this.#memory.read(address, bytes);
    if (this.#traps.length > 0) hideTraps(this.#traps, address, bytes);
    return bytes;
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}
