/**
 * Scattered reads and writes of files: `struct iovec`s that lie still in memory, and the calls that
 * take them. Failures are negated error numbers, as in file_at.ts.
 *
 * @module
 */
import { addressOf } from "./address_of.ts";
import { Errno } from "./errno.ts";
import { errno, libc } from "./libc.ts";

/** How many iovecs one call takes (IOV_MAX). */
export const IOV_MAX = 1024;
/** 32-bit words of a `struct iovec`: the halves of its base, those of its length. */
const WORDS = 4;

/** A table of iovecs to fill and use again. */
export class Iovecs {
  /** Its entries, as little-endian words: base low, base high, length low, length high. */
  readonly words: Uint32Array<ArrayBuffer> = new Uint32Array(IOV_MAX * WORDS);
  readonly #address: bigint;
  /** Where buffers lie that were asked for before: the question takes longer than all else. */
  readonly #places = new WeakMap<ArrayBufferLike, number>();

  constructor() {
    // Memory of a typed array that is alive does not move.
    this.#address = BigInt(addressOf(this.words));
  }

  /** Bytes of its first entries together. */
  bytes(count: number): number {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      sum += this.words[i * WORDS + 2]! + this.words[i * WORDS + 3]! * 2 ** 32;
    }
    return sum;
  }

  /**
   * Sets an entry to bytes that stay alive until the call.
   *
   * @param index Which
   * @param bytes The bytes
   */
  set(index: number, bytes: Uint8Array): void {
    const { buffer, byteOffset, length } = bytes;
    const address = (this.#places.get(buffer) ?? this.#place(buffer)) + byteOffset;
    const at = index * WORDS;
    this.words[at] = address; // its lower half
    this.words[at + 1] = address / 2 ** 32;
    this.words[at + 2] = length;
    this.words[at + 3] = 0;
  }

  #place(buffer: ArrayBufferLike): number {
    const address = addressOf(new Uint8Array(buffer as ArrayBuffer));
    this.#places.set(buffer, address);
    return address;
  }

  /**
   * Writes the first entries' memory where a descriptor stands: to a pipe, a socket, a file.
   *
   * @param fd The descriptor
   * @param count How many entries, 1 to 1024; below 2 GiB together
   * @returns Bytes written, or a negated errno
   */
  write(fd: number, count: number): number {
    for (;;) {
      const put = libc.writev(fd, this.words, count);
      if (put >= 0) return put;
      const code = errno();
      if (code !== Errno.EINTR) return -code;
    }
  }

  /**
   * Reads from a file into the first entries' memory.
   *
   * @param fd The file
   * @param count How many entries, 1 to 1024; below 2 GiB together
   * @param position Where in the file
   * @returns Bytes read, or a negated errno
   */
  readAt(fd: number, count: number, position: number): number {
    for (;;) {
      const got = libc.preadv(fd, this.#address, count, BigInt(position));
      if (got >= 0) return got;
      const code = errno();
      if (code !== Errno.EINTR) return -code;
    }
  }

  /** Writes the first entries' memory to a file; the same. */
  writeAt(fd: number, count: number, position: number): number {
    for (;;) {
      const put = libc.pwritev(fd, this.#address, count, BigInt(position));
      if (put >= 0) return put;
      const code = errno();
      if (code !== Errno.EINTR) return -code;
    }
  }
}
