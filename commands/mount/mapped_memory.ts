/**
 * A VM's memory as a file that is read: replies are written from the mapping of what is behind it, with
 * no copy in between. What nobody has touched, and what is no memory, reads as zeros and allocates none.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { HostError } from "../../ffi/errors.ts";
import { writeReply } from "../../ffi/fuse_device.ts";
import { Iovecs } from "../../ffi/iovecs.ts";
import type { MemoryRange } from "../../vmm/debug/physical_memory.ts";
import { ProcessMemory } from "../../vmm/debug/process_memory.ts";
import { fuse_out_header } from "../../vmm/fuse/messages.ts";
import type { MemoryRecord } from "../live/methods/inspect.ts";

/** Where it is, and the length of its file. */
export interface MemoryPlace extends Pick<MemoryRecord, "pid" | "slots" | "traps"> {
  /** Behind its last byte. */
  readonly end: number;
}

/** What READ asks for at most: see `maxWrite`. */
const MOST_BYTES = 2 ** 20;
/** Header, and at most a page of data and one of a hole for each 8 KiB. */
const MOST_PIECES = 1024;
const ZEROS = new Uint8Array(MOST_BYTES);

/** Memory that is open. */
export class MappedMemory implements Disposable {
  readonly #fd: number;
  readonly #memory: ProcessMemory;
  readonly #place: MemoryPlace;
  readonly #iovecs = new Iovecs();
  #data: MemoryRange = { start: 0, end: 0 };
  readonly #header = new fuse_out_header(new DataView(new ArrayBuffer(128)));
  readonly #headerBytes: Uint8Array<ArrayBuffer>;
  readonly #scratch = new Uint8Array(MOST_BYTES);

  /**
   * @param fd The kernel's side
   * @param place Where the memory is
   */
  constructor(fd: number, place: MemoryPlace) {
    this.#fd = fd;
    this.#place = place;
    this.#memory = new ProcessMemory(place.pid, place.slots, place.traps);
    this.#headerBytes = this.#header.bytes();
  }

  /**
   * Answers a READ.
   *
   * @param unique Of the request
   * @param position Guest-physical address
   * @param size Bytes that are wanted
   */
  answer(unique: bigint, position: bigint, size: number): void {
    this.#header.unique = unique;
    let result: number;
    try {
      result = this.#reply(Number(position), size);
    } catch (error) {
      result = error instanceof HostError ? -error.errno : -Errno.ESRCH;
    }
    // Somebody who waits for no answer any more is no failure.
    if (result >= 0 || result === -Errno.ENOENT || result === -Errno.ENODEV) return;
    this.#header.len = fuse_out_header.size;
    this.#header.error = result === -Errno.EFAULT ? -Errno.EIO : result;
    writeReply(this.#fd, this.#headerBytes);
  }

  #reply(start: number, size: number): number {
    const stop = Math.min(start + Math.min(size, MOST_BYTES), this.#place.end);
    const length = Math.max(0, stop - start);
    this.#header.len = fuse_out_header.size + length;
    this.#header.error = 0;
    this.#iovecs.set(0, this.#headerBytes);
    return this.#iovecs.write(this.#fd, length === 0 ? 1 : this.#fill(start, stop));
  }

  /** Sets the entries behind the header; gives how many there are with it. */
  #fill(start: number, stop: number): number {
    let count = 1;
    let at = start;
    const add = (bytes: Uint8Array) => this.#iovecs.set(count++, bytes);
    const zeros = (until: number) => {
      if (until <= at) return;
      add(ZEROS.subarray(0, until - at));
      at = until;
    };
    while (at < stop) {
      const data = this.#dataFrom(at);
      if (data === undefined || data.start >= stop) break;
      zeros(data.start);
      const mapped = this.#mapped(at, Math.min(data.end, stop));
      if (mapped === undefined || count > MOST_PIECES - 4) return this.#copied(start, stop);
      add(mapped);
      at += mapped.length;
    }
    zeros(stop);
    return count;
  }

  /**
   * Where the next bytes are that somebody has touched. The kernel goes through all of a range to find
   * its end, so one that is known is not looked for again: that part of it may have been given back
   * since does no harm.
   */
  #dataFrom(at: number): MemoryRange | undefined {
    const { start, end } = this.#data;
    if (at >= start && at < end) return this.#data;
    for (const found of this.#memory.written(at, this.#place.end)) return this.#data = found;
    return undefined;
  }

  /** Where it is mapped and shows no breakpoint of a debugger's. */
  #mapped(from: number, end: number): Uint8Array | undefined {
    const { slots, traps } = this.#place;
    if (traps.length > 0) return undefined;
    const slot = slots.find(({ base, size }) => from >= base && from - base < size);
    const mapping = slot && this.#memory.map(slot.base);
    return mapping && new Uint8Array(mapping.buffer, from - slot!.base, end - from);
  }

  /** Where a mapping would not do: everything by way of a buffer. */
  #copied(start: number, stop: number): number {
    const bytes = this.#scratch.subarray(0, stop - start);
    bytes.fill(0);
    for (const { base, size } of this.#place.slots) {
      const from = Math.max(base, start);
      const end = Math.min(base + size, stop);
      if (from < end) this.#memory.read(from, bytes.subarray(from - start, end - start));
    }
    this.#iovecs.set(1, bytes);
    return 2;
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}
