/**
 * The `struct iovec`s of a disk's requests: a row for each tag with the pieces of guest memory that
 * the request names, and a second one for calls that do a part of it.
 *
 * @module
 */
import { addressOf } from "../../../ffi/address_of.ts";

/** Pieces of one request at most: more than a driver may use (seg_max), IOV_MAX is 1024. */
export const MOST_IOVECS = 256;
/** 32-bit words of a `struct iovec`: address and length, two `u64`. */
const WORDS = 4;
const TWO_32 = 2 ** 32;

/** Rows of vectors in memory that does not move. */
export class IovecTable {
  /** All rows, as words. */
  readonly words: Uint32Array<ArrayBuffer>;
  /** Each tag's row, to be filled. */
  readonly rows: readonly Uint32Array<ArrayBuffer>[];
  /** How many vectors a tag's request has; set by whoever fills the row. */
  readonly counts: Uint16Array<ArrayBuffer>;
  /** Bytes of a tag's request in all; set with the row. */
  readonly lengths: Float64Array<ArrayBuffer>;
  readonly #address: number;
  readonly #tags: number;

  /**
   * @param tags How many requests
   */
  constructor(tags: number) {
    this.words = new Uint32Array(2 * tags * MOST_IOVECS * WORDS);
    const row = MOST_IOVECS * WORDS;
    this.rows = Array.from(
      { length: tags },
      (_, tag) => this.words.subarray(tag * row, (tag + 1) * row),
    );
    this.counts = new Uint16Array(tags);
    this.lengths = new Float64Array(tags);
    this.#address = addressOf(this.words);
    this.#tags = tags;
  }

  /** Index of the first vector of a tag's row. */
  first(tag: number): number {
    return tag * MOST_IOVECS;
  }

  /** Where a tag's row lies in this process. */
  address(tag: number): number {
    return this.#address + tag * MOST_IOVECS * WORDS * 4;
  }

  /** Where a tag's second row lies in this process. */
  partAddress(tag: number): number {
    return this.address(this.#tags + tag);
  }

  /** Whether the first `count` vectors of a row have `length` bytes in all. */
  holds(tag: number, count: number, length: number): boolean {
    for (let i = this.first(tag) * WORDS, n = 0; n < count; n++, i += WORDS) {
      length -= this.words[i + 2]! + this.words[i + 3]! * TWO_32;
    }
    return length === 0;
  }

  /**
   * Whether all addresses and lengths of a row are multiples of a power of two.
   *
   * @param tag The request
   * @param mask The power of two less 1
   */
  aligned(tag: number, mask: number): boolean {
    let bits = 0;
    for (let i = this.first(tag) * WORDS, n = this.counts[tag]!; n > 0; n--, i += WORDS) {
      bits |= this.words[i]! | this.words[i + 2]!;
    }
    return (bits & mask) === 0;
  }

  /**
   * Fills a tag's second row with a part of its first.
   *
   * @param tag The request
   * @param skip Bytes of the first row that are left out
   * @param length Bytes of the part
   * @returns How many vectors it has
   */
  part(tag: number, skip: number, length: number): number {
    const row = this.first(this.#tags + tag);
    return this.copy(tag, skip, length, this.words, row) - row;
  }

  /**
   * Copies a part of a tag's vectors, as much of it as there is room for.
   *
   * @param tag The request
   * @param skip Bytes of its row that are left out
   * @param length Bytes of the part
   * @param target Where to
   * @param at Index of the first entry
   * @returns Index behind the last entry
   */
  copy(
    tag: number,
    skip: number,
    length: number,
    target: Uint32Array<ArrayBuffer>,
    at: number,
  ): number {
    const words = this.words;
    const end = target.length / WORDS;
    let from = this.first(tag) * WORDS;
    for (let n = this.counts[tag]!; n > 0 && length > 0 && at < end; n--, from += WORDS) {
      const size = words[from + 2]! + words[from + 3]! * TWO_32;
      if (size <= skip) {
        skip -= size;
        continue;
      }
      const piece = Math.min(size - skip, length);
      const address = words[from]! + words[from + 1]! * TWO_32 + skip;
      set(target, at++, address, piece);
      skip = 0;
      length -= piece;
    }
    return at;
  }

  /**
   * Fills a tag's second row with the same memory over and over.
   *
   * @param tag The request
   * @param address Where that memory lies
   * @param size Its bytes
   * @param length Bytes in all, at most {@linkcode MOST_IOVECS} times the size
   * @returns How many vectors it has
   */
  repeat(tag: number, address: number, size: number, length: number): number {
    const row = this.first(this.#tags + tag);
    let count = 0;
    for (; length > 0; length -= size) {
      set(this.words, row + count++, address, Math.min(size, length));
    }
    return count;
  }
}

function set(
  words: Uint32Array<ArrayBuffer>,
  index: number,
  address: number,
  length: number,
): void {
  const at = index * WORDS;
  words[at] = address % TWO_32;
  words[at + 1] = address / TWO_32;
  words[at + 2] = length % TWO_32;
  words[at + 3] = length / TWO_32;
}
