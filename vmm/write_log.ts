/**
 * Which pages of guest memory devices have written since somebody looked: what KVM's log of dirty pages
 * does not have. Off it costs a look at two words.
 *
 *     word 0         whether it is on
 *     word 1         whether anything was written since somebody asked, on or off
 *     word 2 and up  for each memory slot a bit a page, the first page's the lowest, in whole words of
 *                    64 bits as KVM_GET_DIRTY_LOG has them
 *
 * @module
 */
const PAGE_SHIFT = 12;
const PAGE = 2 ** PAGE_SHIFT;
/** Bitmaps start at a multiple of 64 bits. */
const FIRST_WORD = 2;
const WORD_BITS = 32;

/** Words of {@linkcode WriteLog.flags}. */
export const WriteFlag = { ON: 0, ANY: 1 } as const;

/** A memory slot's size. */
interface Sized {
  readonly size: number;
}

/** Words of a slot's bitmap. */
function bitmapWords({ size }: Sized): number {
  return 2 * Math.ceil(size / PAGE / (2 * WORD_BITS));
}

/** The log of one machine, as one thread sees it. */
export class WriteLog {
  /**
   * By {@linkcode WriteFlag}: `ON` is not 0 while writes are noted, and whoever writes sets `ANY` where it
   * is 0, which costs other threads nothing once it is set.
   */
  readonly flags: Int32Array;
  readonly #words: Int32Array;
  /** Where each slot's bitmap starts, and behind the last one. */
  readonly #starts: number[] = [];

  /**
   * @param slots The machine's memory, in order of address
   * @param buffer What {@linkcode WriteLog.allocate} gave, for all threads
   */
  constructor(slots: readonly Sized[], buffer: SharedArrayBuffer) {
    this.flags = new Int32Array(buffer, 0, FIRST_WORD);
    this.#words = new Int32Array(buffer);
    let start = FIRST_WORD;
    for (const slot of slots) {
      this.#starts.push(start);
      start += bitmapWords(slot);
    }
    this.#starts.push(start);
  }

  /**
   * Makes the memory that a log is in: pages of it that are not used take none.
   *
   * @param slots The machine's memory
   */
  static allocate(slots: readonly Sized[]): SharedArrayBuffer {
    const words = slots.reduce((sum, slot) => sum + bitmapWords(slot), FIRST_WORD);
    return new SharedArrayBuffer(4 * words);
  }

  /** Whether writes are noted. */
  get on(): boolean {
    return this.flags[WriteFlag.ON] !== 0;
  }

  /** Whether anything was written since {@linkcode forgetAny}, noted or not. */
  get any(): boolean {
    return this.flags[WriteFlag.ANY] !== 0;
  }

  /** Something was written. */
  noteAny(): void {
    if (this.flags[WriteFlag.ANY] === 0) this.flags[WriteFlag.ANY] = 1;
  }

  /** Asks {@linkcode any} anew; no device writes meanwhile. */
  forgetAny(): void {
    this.flags[WriteFlag.ANY] = 0;
  }

  /** Notes writes from now on, and forgets those before. */
  start(): void {
    Atomics.store(this.flags, WriteFlag.ON, 1);
    this.take();
  }

  /** Notes no writes any more. */
  stop(): void {
    Atomics.store(this.flags, WriteFlag.ON, 0);
  }

  /**
   * Notes that bytes were written; after the write, and only where it is {@linkcode on}.
   *
   * @param slot Index of the memory slot
   * @param offset Where in it
   * @param length How many bytes
   */
  mark(slot: number, offset: number, length: number): void {
    if (length === 0) return;
    const start = this.#starts[slot]!;
    const last = Math.floor((offset + length - 1) / PAGE);
    for (let page = Math.floor(offset / PAGE); page <= last; page++) {
      const word = start + (page >>> 5);
      const bit = 1 << (page & 31);
      if ((this.#words[word]! & bit) === 0) Atomics.or(this.#words, word, bit);
    }
  }

  /**
   * Takes what was noted: a page that is written after this is noted anew.
   *
   * @returns A bitmap for each memory slot, as KVM_GET_DIRTY_LOG gives it
   */
  take(): Uint8Array<ArrayBuffer>[] {
    return this.#starts.slice(0, -1).map((start, slot) => {
      const bitmap = new Int32Array(this.#starts[slot + 1]! - start);
      for (let i = 0; i < bitmap.length; i++) {
        if (this.#words[start + i] !== 0) bitmap[i] = Atomics.exchange(this.#words, start + i, 0);
      }
      return new Uint8Array(bitmap.buffer);
    });
  }
}
