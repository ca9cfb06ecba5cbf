/**
 * A chain of descriptors as a device works with it: the pieces of guest memory that the driver lent,
 * checked once, in arrays that are used again for the next chain.
 *
 * @module
 */
import type { DmaMap } from "./dma.ts";
import type { WriteLog } from "../write_log.ts";
import { type Chain, ProtocolError } from "./virtio_device.ts";

/** A chain's total (§2.7.5.2: the driver must not make it longer). */
const MOST_BYTES = 2 ** 32;
/** What readv and writev take (IOV_MAX). */
const MOST_IOVECS = 1024;
/** Up to here copying byte by byte is quicker than to make a view. */
const FEW_BYTES = 64;
const FIRST_CAPACITY = 8;

/** No epoch of a queue: the chain is not lent. */
export const NOT_LENT = -1;

/** A {@linkcode Chain} of a queue's pool. */
export class BufferChain implements Chain {
  readable = 0;
  writable = 0;
  readableCount = 0;
  writableCount = 0;
  /** Index of its first descriptor: its name in the used ring. */
  head = 0;
  /** The queue's epoch when it was popped; {@linkcode NOT_LENT} while it lies in the pool. */
  epoch = NOT_LENT;
  readonly #dma: DmaMap;
  #regions = new Uint16Array(FIRST_CAPACITY);
  #offsets = new Float64Array(FIRST_CAPACITY);
  #lengths = new Uint32Array(FIRST_CAPACITY);
  #writing = false;
  /** The piece that was looked up last, and where in its part it starts. */
  #piece = 0;
  #start = 0;

  /**
   * @param dma Guest memory
   */
  constructor(dma: DmaMap) {
    this.#dma = dma;
  }

  /** How many pieces it has. */
  get pieces(): number {
    return this.readableCount + this.writableCount;
  }

  /** Empties it, for a queue to fill. */
  clear(): void {
    this.readable = 0;
    this.writable = 0;
    this.readableCount = 0;
    this.writableCount = 0;
    this.#writing = false;
    this.#piece = 0;
    this.#start = 0;
  }

  /**
   * Appends a descriptor's buffer.
   *
   * @param address Guest-physical address; of no account if `length` is 0
   * @param length Bytes
   * @param writable Whether it is for the device to write
   * @throws {ProtocolError} If it is not inside one region, or readable behind writable, or too much
   */
  add(address: number, length: number, writable: boolean): void {
    if (writable) this.#writing = true;
    else if (this.#writing) throw new ProtocolError("A readable descriptor follows a writable one");
    if (length === 0) return;
    const region = this.#dma.find(address, length);
    if (region < 0) {
      throw new ProtocolError(
        `A descriptor's ${length} bytes at 0x${address.toString(16)} are not in guest memory`,
      );
    }
    const piece = this.readableCount + this.writableCount;
    if (piece === this.#regions.length) this.#grow();
    this.#regions[piece] = region;
    this.#offsets[piece] = this.#dma.offset(region, address);
    this.#lengths[piece] = length;
    if (writable) {
      this.writable += length;
      this.writableCount++;
    } else {
      this.readable += length;
      this.readableCount++;
    }
    if (this.readable + this.writable > MOST_BYTES) {
      throw new ProtocolError("A chain is longer than 2^32 bytes");
    }
  }

  /**
   * Notes that its writable part was written: any of it may have been.
   *
   * @param log Where
   */
  noteWritten(log: WriteLog): void {
    const end = this.readableCount + this.writableCount;
    for (let piece = this.readableCount; piece < end; piece++) {
      log.mark(this.#regions[piece]!, this.#offsets[piece]!, this.#lengths[piece]!);
    }
  }

  read(offset: number, target: Uint8Array): number {
    const total = this.#clamp(offset, target.length, this.readable);
    if (total === 0) return 0;
    let piece = this.#seek(0, offset);
    let skip = offset - this.#start;
    for (let done = 0; done < total; piece++, skip = 0) {
      const view = this.#dma.views[this.#regions[piece]!]!;
      const at = this.#offsets[piece]! + skip;
      const length = Math.min(total - done, this.#lengths[piece]! - skip);
      if (length <= FEW_BYTES) {
        for (let i = 0; i < length; i++) target[done + i] = view.getUint8(at + i);
      } else {
        target.set(new Uint8Array(view.buffer, at, length), done);
      }
      done += length;
    }
    return total;
  }

  write(offset: number, source: Uint8Array): number {
    const total = this.#clamp(offset, source.length, this.writable);
    if (total === 0) return 0;
    let piece = this.#seek(this.readableCount, offset);
    let skip = offset - this.#start;
    for (let done = 0; done < total; piece++, skip = 0) {
      const view = this.#dma.views[this.#regions[piece]!]!;
      const at = this.#offsets[piece]! + skip;
      const length = Math.min(total - done, this.#lengths[piece]! - skip);
      if (length <= FEW_BYTES) {
        for (let i = 0; i < length; i++) view.setUint8(at + i, source[done + i]!);
      } else {
        const whole = length === source.length ? source : source.subarray(done, done + length);
        new Uint8Array(view.buffer, at, length).set(whole);
      }
      done += length;
    }
    return total;
  }

  readU8(offset: number): number {
    this.#require(offset, 1, this.readable);
    const piece = this.#seek(0, offset);
    return this.#dma.views[this.#regions[piece]!]!
      .getUint8(this.#offsets[piece]! + offset - this.#start);
  }

  readU16(offset: number): number {
    this.#require(offset, 2, this.readable);
    const piece = this.#seek(0, offset);
    const skip = offset - this.#start;
    if (skip + 2 > this.#lengths[piece]!) return this.readU8(offset) | this.readU8(offset + 1) << 8;
    return this.#dma.views[this.#regions[piece]!]!.getUint16(this.#offsets[piece]! + skip, true);
  }

  readU32(offset: number): number {
    this.#require(offset, 4, this.readable);
    const piece = this.#seek(0, offset);
    const skip = offset - this.#start;
    if (skip + 4 > this.#lengths[piece]!) {
      return this.readU16(offset) + this.readU16(offset + 2) * 0x1_0000;
    }
    return this.#dma.views[this.#regions[piece]!]!.getUint32(this.#offsets[piece]! + skip, true);
  }

  readU64(offset: number): number {
    return this.readU32(offset) + this.readU32(offset + 4) * 0x1_0000_0000;
  }

  writeU8(offset: number, value: number): void {
    this.#require(offset, 1, this.writable);
    const piece = this.#seek(this.readableCount, offset);
    this.#dma.views[this.#regions[piece]!]!
      .setUint8(this.#offsets[piece]! + offset - this.#start, value);
  }

  writeU16(offset: number, value: number): void {
    this.#require(offset, 2, this.writable);
    const piece = this.#seek(this.readableCount, offset);
    const skip = offset - this.#start;
    if (skip + 2 > this.#lengths[piece]!) {
      this.writeU8(offset, value & 0xff);
      this.writeU8(offset + 1, value >>> 8);
    } else {
      this.#dma.views[this.#regions[piece]!]!
        .setUint16(this.#offsets[piece]! + skip, value, true);
    }
  }

  writeU32(offset: number, value: number): void {
    this.#require(offset, 4, this.writable);
    const piece = this.#seek(this.readableCount, offset);
    const skip = offset - this.#start;
    if (skip + 4 > this.#lengths[piece]!) {
      this.writeU16(offset, value & 0xffff);
      this.writeU16(offset + 2, value >>> 16);
    } else {
      this.#dma.views[this.#regions[piece]!]!
        .setUint32(this.#offsets[piece]! + skip, value, true);
    }
  }

  writeU64(offset: number, value: number): void {
    this.writeU32(offset, value % 0x1_0000_0000);
    this.writeU32(offset + 4, Math.floor(value / 0x1_0000_0000));
  }

  readableViews(offset: number, length = Infinity): Uint8Array<ArrayBuffer>[] {
    return this.#views(0, offset, this.#clamp(offset, length, this.readable));
  }

  writableViews(offset: number, length = Infinity): Uint8Array<ArrayBuffer>[] {
    const left = this.#clamp(offset, length, this.writable);
    return this.#views(this.readableCount, offset, left);
  }

  readableIovecs(offset: number, length: number, target: Uint32Array, at = 0): number {
    return this.#iovecs(0, offset, this.#clamp(offset, length, this.readable), target, at);
  }

  writableIovecs(offset: number, length: number, target: Uint32Array, at = 0): number {
    const left = this.#clamp(offset, length, this.writable);
    return this.#iovecs(this.readableCount, offset, left, target, at);
  }

  #views(first: number, offset: number, length: number): Uint8Array<ArrayBuffer>[] {
    const views: Uint8Array<ArrayBuffer>[] = [];
    if (length === 0) return views;
    let piece = this.#seek(first, offset);
    let skip = offset - this.#start;
    for (let left = length; left > 0; piece++, skip = 0) {
      const { buffer } = this.#dma.views[this.#regions[piece]!]!;
      const bytes = Math.min(left, this.#lengths[piece]! - skip);
      views.push(new Uint8Array(buffer, this.#offsets[piece]! + skip, bytes));
      left -= bytes;
    }
    return views;
  }

  #iovecs(first: number, offset: number, length: number, target: Uint32Array, at: number): number {
    if (length === 0) return 0;
    const most = Math.min(MOST_IOVECS, target.length >> 2);
    let entry = at;
    let piece = this.#seek(first, offset);
    let skip = offset - this.#start;
    for (let left = length; left > 0 && entry < most; piece++, skip = 0, entry++) {
      const host = this.#dma.hosts[this.#regions[piece]!]! + this.#offsets[piece]! + skip;
      if (!(host > 0)) throw new Error("This guest memory has no address for the kernel");
      const bytes = Math.min(left, this.#lengths[piece]! - skip);
      target[4 * entry] = host % 0x1_0000_0000;
      target[4 * entry + 1] = Math.floor(host / 0x1_0000_0000);
      target[4 * entry + 2] = bytes;
      target[4 * entry + 3] = 0;
      left -= bytes;
    }
    return entry - at;
  }

  /** How much of a range is inside a part of so many bytes. */
  #clamp(offset: number, length: number, total: number): number {
    if (offset < 0) throw new RangeError(`A chain has no bytes at ${offset}`);
    return Math.max(0, Math.min(length, total - offset));
  }

  #require(offset: number, length: number, total: number): void {
    if (offset < 0 || length > total - offset) {
      throw new ProtocolError(
        `A chain has ${total} bytes where ${length} at ${offset} are needed`,
      );
    }
  }

  /**
   * Looks up the piece that holds a byte, and where it starts; the byte must be there.
   *
   * @param first First piece of the part
   * @param offset Bytes from the part's start
   */
  #seek(first: number, offset: number): number {
    let piece = this.#piece;
    let start = this.#start;
    // The last one found may be of the other part, whose offsets start anew.
    const otherPart = (piece < this.readableCount) !== (first < this.readableCount);
    if (otherPart || piece < first || offset < start) {
      piece = first;
      start = 0;
    }
    while (offset - start >= this.#lengths[piece]!) start += this.#lengths[piece++]!;
    this.#piece = piece;
    this.#start = start;
    return piece;
  }

  #grow(): void {
    const capacity = 2 * this.#regions.length;
    const regions = new Uint16Array(capacity);
    regions.set(this.#regions);
    this.#regions = regions;
    const offsets = new Float64Array(capacity);
    offsets.set(this.#offsets);
    this.#offsets = offsets;
    const lengths = new Uint32Array(capacity);
    lengths.set(this.#lengths);
    this.#lengths = lengths;
  }
}
