/**
 * A ring of records of one size in shared memory, from a vCPU's thread to the main one. The writer
 * never waits: what finds no room is lost and counted.
 *
 *     word 0   records taken, modulo 2^32
 *     word 1   records put
 *     word 2   records lost
 *     word 3   the reader wants one record; who writes on demand takes the wish with it
 *     byte 64  the records
 *
 * @module
 */
const HEAD = 0;
const TAIL = 1;
const LOST = 2;
const WANTED = 3;
const HEADER_BYTES = 64;

/** A bounded queue of records between two threads: one writes, one reads. */
export class RecordRing {
  /** The memory itself; send it to a Worker and open it there. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #recordBytes: number;
  readonly #capacity: number;

  /**
   * Opens a ring.
   *
   * @param buffer What {@linkcode RecordRing.create} made
   * @param recordBytes Bytes of a record, a multiple of 8
   */
  constructor(buffer: SharedArrayBuffer, recordBytes: number) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, HEADER_BYTES / 4);
    this.#recordBytes = recordBytes;
    this.#capacity = (buffer.byteLength - HEADER_BYTES) / recordBytes;
  }

  /**
   * Makes a ring.
   *
   * @param recordBytes Bytes of a record, a multiple of 8
   * @param capacity How many it holds, a power of two
   * @returns The empty ring
   */
  static create(recordBytes: number, capacity: number): RecordRing {
    return new RecordRing(
      new SharedArrayBuffer(HEADER_BYTES + recordBytes * capacity),
      recordBytes,
    );
  }

  /** Finds room for the next record: its byte offset in the buffer; -1, and a record lost, without. */
  reserve(): number {
    const tail = Atomics.load(this.#words, TAIL);
    if (((tail - Atomics.load(this.#words, HEAD)) >>> 0) >= this.#capacity) {
      Atomics.add(this.#words, LOST, 1);
      return -1;
    }
    return this.#offset(tail);
  }

  /** Hands over the record that was written where {@linkcode reserve} said. */
  commit(): void {
    Atomics.add(this.#words, TAIL, 1);
  }

  /**
   * Takes every record that is there.
   *
   * @param read Gets each one's byte offset in the buffer; it must be done with it when it returns
   * @param most How many to take at most
   * @returns How many there were
   */
  drain(read: (offset: number) => void, most = Infinity): number {
    const head = Atomics.load(this.#words, HEAD);
    const count = Math.min((Atomics.load(this.#words, TAIL) - head) >>> 0, most);
    for (let i = 0; i < count; i++) read(this.#offset(head + i));
    Atomics.store(this.#words, HEAD, (head + count) | 0);
    return count;
  }

  /** Takes the count of lost records since it was last taken. */
  takeLost(): number {
    return Atomics.exchange(this.#words, LOST, 0) >>> 0;
  }

  /** Asks the writer for one record; false if it has not yet given the one before. */
  want(): boolean {
    return Atomics.exchange(this.#words, WANTED, 1) === 0;
  }

  /** Whether the reader waits for a record. */
  get wanted(): boolean {
    return Atomics.load(this.#words, WANTED) !== 0;
  }

  /** Answers {@linkcode want}, with a record or without: the reader may ask again. */
  given(): void {
    Atomics.store(this.#words, WANTED, 0);
  }

  #offset(position: number): number {
    return HEADER_BYTES + ((position >>> 0) & (this.#capacity - 1)) * this.#recordBytes;
  }
}
