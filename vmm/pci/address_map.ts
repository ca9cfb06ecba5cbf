/**
 * Which entry answers an address, where entries may lie over one another: a list of pieces that
 * don't, made once for many lookups.
 *
 * @module
 */
import type { BusEntry } from "../bus.ts";

/** A range of addresses with the entry that answers there. */
interface Piece {
  readonly start: number;
  readonly end: number;
  readonly entry: BusEntry;
}

/** A lookup of entries by address. */
export class AddressMap {
  readonly #pieces: readonly Piece[];
  #last: Piece | undefined;

  /**
   * @param entries What there is; where two lie over one another, the earlier one answers
   */
  constructor(entries: readonly BusEntry[]) {
    const edges = [...new Set(entries.flatMap(({ base, end }) => [base, end]))]
      .sort((a, b) => a - b);
    const pieces: Piece[] = [];
    for (let i = 0; i + 1 < edges.length; i++) {
      const [start, end] = [edges[i]!, edges[i + 1]!];
      const entry = entries.find((entry) => entry.base <= start && end <= entry.end);
      if (entry !== undefined) pieces.push({ start, end, entry });
    }
    this.#pieces = pieces;
  }

  /**
   * Looks an address up.
   *
   * @param address Port or guest-physical address
   * @returns Who answers; undefined if nobody does
   */
  find(address: number): BusEntry | undefined {
    const last = this.#last;
    if (last !== undefined && address >= last.start && address < last.end) return last.entry;
    const pieces = this.#pieces;
    let low = 0;
    let high = pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (pieces[middle]!.end <= address) low = middle + 1;
      else high = middle;
    }
    if (low === pieces.length || address < pieces[low]!.start) return undefined;
    this.#last = pieces[low]!;
    return this.#last.entry;
  }
}
