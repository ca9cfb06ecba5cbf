/**
 * The guest's pages back to the host: page numbers from the inflate queue and ranges from the
 * reporting queue, whatever a hostile guest says there, to calls for whole ranges of RAM.
 *
 * @module
 */
import { punchPages, releasePages } from "../../../ffi/memory_advice.ts";
import type { GuestMemory, MemoryRegion } from "../../guest_memory.ts";
import type { BalloonRegisters } from "./state.ts";

/** A page of the balloon, whatever the guest's own are (§5.5.6). */
export const PAGE = 4096;

/** Gives pages back. */
export class PageRelease {
  readonly #state: BalloonRegisters;
  /** RAM that lies somewhere in this process. */
  readonly #ram: readonly (MemoryRegion & { readonly host: number })[];

  /**
   * @param memory Guest memory
   * @param state Where to count
   */
  constructor(memory: GuestMemory, state: BalloonRegisters) {
    this.#state = state;
    this.#ram = memory.regions.flatMap(({ host, ...region }) =>
      region.ram && host !== undefined ? [{ ...region, host }] : []
    );
  }

  /**
   * Gives single pages back, neighbours in one call.
   *
   * @param pages Page frame numbers in any order, also some twice; sorted by this
   */
  pages(pages: Uint32Array): void {
    pages.sort();
    for (let i = 0; i < pages.length;) {
      const first = pages[i]!;
      let end = first + 1;
      for (i++; i < pages.length && pages[i]! <= end; i++) end = pages[i]! + 1;
      this.#guestRange(first * PAGE, end * PAGE);
    }
  }

  /**
   * Gives a range of this process's memory back, if it is RAM of the guest: the whole pages in it.
   *
   * @param address Where it starts in this process
   * @param length Bytes
   * @param toZero Whether it stays as it is where it would not read as zero later: a fork's memory, and
   * what goes on from a folder, would show what its image has
   */
  hostRange(address: number, length: number, toZero: boolean): void {
    const start = Math.ceil(address / PAGE) * PAGE;
    const end = Math.floor((address + length) / PAGE) * PAGE;
    for (const { host, buffer } of this.#ram) {
      if (start < host || end > host + buffer.byteLength || start >= end) continue;
      return this.#release(start, end - start, toZero ? punchPages : releasePages);
    }
    this.#state.invalid++;
  }

  /** A run of pages may lie in several regions, in part or not at all. */
  #guestRange(start: number, end: number): void {
    let inside = 0;
    for (const { base, buffer, host } of this.#ram) {
      const from = Math.max(start, base);
      const to = Math.min(end, base + buffer.byteLength);
      if (from >= to) continue;
      inside += to - from;
      this.#release(host + from - base, to - from);
    }
    this.#state.invalid += (end - start - inside) / PAGE;
  }

  #release(address: number, length: number, release = releasePages): void {
    if (release(address, length) === 0) this.#state.released += length;
    else this.#state.failed++;
  }
}
