/**
 * A ring of bytes in shared memory: one producer at a time (whoever holds the device's lock), one
 * consumer. Nothing is lost below the hard limit, and the producer never waits inside a device.
 *
 * @module
 */
import type { ByteSink } from "./device.ts";

const HEAD = 0; // bytes taken, modulo 2^32
const TAIL = 1; // bytes put, modulo 2^32
const DROPPED = 2; // bytes lost because nobody read
const HEADER_BYTES = 16;
/**
 * A producer that saw `ready` may still put this many bytes: two pages, since one `rep outsb` exit
 * brings one.
 */
const RESERVE = 8192;

/** A bounded byte queue between threads. */
export class ByteRing implements ByteSink {
  readonly #words: Int32Array;
  readonly #data: Uint8Array;
  readonly #mask: number;

  /**
   * @param buffer Shared memory that holds the ring
   * @param offset Where it starts, a multiple of 4
   * @param capacity A power of two of at least 16384 bytes
   */
  constructor(buffer: SharedArrayBuffer, offset: number, capacity: number) {
    this.#words = new Int32Array(buffer, offset, HEADER_BYTES / 4);
    this.#data = new Uint8Array(buffer, offset + HEADER_BYTES, capacity);
    this.#mask = capacity - 1;
  }

  /**
   * Bytes of shared memory a ring takes.
   *
   * @param capacity Its capacity in bytes
   * @returns Header and data together
   */
  static sizeFor(capacity: number): number {
    return HEADER_BYTES + capacity;
  }

  /** Bytes that wait to be read. */
  get length(): number {
    return (Atomics.load(this.#words, TAIL) - Atomics.load(this.#words, HEAD)) >>> 0;
  }

  /** How many bytes were dropped so far. */
  get dropped(): number {
    return Atomics.load(this.#words, DROPPED) >>> 0;
  }

  get ready(): boolean {
    return this.length < this.#data.length - RESERVE;
  }

  write(byte: number): void {
    const tail = Atomics.load(this.#words, TAIL);
    if (((tail - Atomics.load(this.#words, HEAD)) >>> 0) >= this.#data.length) {
      Atomics.add(this.#words, DROPPED, 1);
      return;
    }
    this.#data[tail & this.#mask] = byte;
    Atomics.store(this.#words, TAIL, (tail + 1) | 0);
  }

  writeAll(bytes: Uint8Array): void {
    const tail = Atomics.load(this.#words, TAIL);
    const room = this.#data.length - ((tail - Atomics.load(this.#words, HEAD)) >>> 0);
    const count = Math.min(bytes.length, room);
    if (count < bytes.length) Atomics.add(this.#words, DROPPED, bytes.length - count);
    const start = tail & this.#mask;
    const first = Math.min(count, this.#data.length - start);
    this.#data.set(bytes.subarray(0, first), start);
    this.#data.set(bytes.subarray(first, count), 0);
    Atomics.store(this.#words, TAIL, (tail + count) | 0);
  }

  /**
   * Takes everything that is there.
   *
   * @returns A copy of the bytes; empty if there are none
   */
  take(): Uint8Array<ArrayBuffer> {
    const head = Atomics.load(this.#words, HEAD);
    const count = (Atomics.load(this.#words, TAIL) - head) >>> 0;
    const out = new Uint8Array(count);
    const start = head & this.#mask;
    const first = Math.min(count, this.#data.length - start);
    out.set(this.#data.subarray(start, start + first));
    out.set(this.#data.subarray(0, count - first), first);
    Atomics.store(this.#words, HEAD, (head + count) | 0);
    return out;
  }
}
