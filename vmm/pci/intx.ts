/**
 * The interrupt lines that slots share: a word a line in shared memory, in which each slot has a
 * bit. A line is high while any bit of its word is set.
 *
 * @module
 */
import { Irq } from "../board.ts";

/** How many inputs of the I/O APIC the slots share. */
const INTX_LINES = 8;

/**
 * The interrupt line of a slot's INTA, as `_PRT` tells it.
 *
 * @param slot 0 to 31
 * @returns Its GSI
 */
export function intxGsi(slot: number): number {
  return Irq.PCI + slot % INTX_LINES;
}

/** The lines as one thread drives them. */
export class IntxLines {
  readonly #words: Int32Array;
  readonly #first: number;
  readonly #setLine: (gsi: number, level: boolean) => void;

  /**
   * @param words Shared memory
   * @param first Index of the first line's word
   * @param setLine Drives an input of the I/O APIC
   */
  constructor(
    words: Int32Array,
    first: number,
    setLine: (gsi: number, level: boolean) => void,
  ) {
    this.#words = words;
    this.#first = first;
    this.#setLine = setLine;
  }

  /**
   * Drives a slot's INTA.
   *
   * @param slot 0 to 31
   * @param level Active or not
   */
  set(slot: number, level: boolean): void {
    const word = this.#first + slot % INTX_LINES;
    const bit = 1 << slot;
    const before = level
      ? Atomics.or(this.#words, word, bit)
      : Atomics.and(this.#words, word, ~bit);
    const after = level ? before | bit : before & ~bit;
    if ((before !== 0) === (after !== 0)) return;
    // Another thread may change the word between its being read and the line's being driven. Whoever
    // drives the line last finds what it drove to be the word's, or drives it once more.
    let driven: boolean;
    do {
      driven = Atomics.load(this.#words, word) !== 0;
      this.#setLine(intxGsi(slot), driven);
    } while ((Atomics.load(this.#words, word) !== 0) !== driven);
  }
}
