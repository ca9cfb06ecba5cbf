/**
 * Guest memory as a device looks addresses up in it: the same regions as {@linkcode GuestMemory}'s,
 * in typed arrays, since this is done for each descriptor.
 *
 * @module
 */
import type { GuestMemory } from "../guest_memory.ts";
import type { WriteLog } from "../write_log.ts";

/** Guest memory's regions, by number. */
export class DmaMap {
  /** The bytes of each region. */
  readonly views: readonly DataView<ArrayBuffer>[];
  /** Where each region lies in this process; NaN where only JavaScript looks at it. */
  readonly hosts: Float64Array;
  /** Where what is written is noted. */
  readonly log: WriteLog | undefined;
  readonly #bases: Float64Array;
  readonly #sizes: Float64Array;

  /**
   * @param memory Guest memory of the calling thread
   */
  constructor(memory: GuestMemory) {
    const regions = memory.regions;
    this.log = memory.log;
    this.views = regions.map(({ buffer }) => new DataView(buffer));
    this.hosts = Float64Array.from(regions, ({ host }) => host ?? NaN);
    this.#bases = Float64Array.from(regions, ({ base }) => base);
    this.#sizes = Float64Array.from(regions, ({ buffer }) => buffer.byteLength);
  }

  /**
   * Where a range lies.
   *
   * @param address Guest-physical address; above 2^53 it is rounded, which no region reaches
   * @param length Bytes
   * @returns Index of the region that holds all of it, or -1
   */
  find(address: number, length: number): number {
    const sizes = this.#sizes;
    for (let i = 0; i < sizes.length; i++) {
      const offset = address - this.#bases[i]!;
      const size = sizes[i]!;
      if (offset >= 0 && offset < size && length <= size - offset) return i;
    }
    return -1;
  }

  /**
   * Where an address lies in its region.
   *
   * @param region What {@linkcode find} gave
   * @param address Guest-physical address
   * @returns Bytes from the region's start
   */
  offset(region: number, address: number): number {
    return address - this.#bases[region]!;
  }
}
