/**
 * Gives a machine's memory pages that somebody waits for, or will.
 *
 * @module
 */
import { addressOf } from "../../../ffi/address_of.ts";
import type { Userfaultfd } from "../../../ffi/userfaultfd.ts";

/** A region whose pages come later. */
export interface ArrivingRegion {
  readonly name: string;
  /** Where it lies in this process. */
  readonly address: bigint;
  /** Bytes. */
  readonly size: number;
}

/** Where in a region something is. */
export interface RegionPlace {
  /** Which of the regions. */
  readonly region: number;
  /** Bytes from its start. */
  readonly offset: number;
}

/** Pages for regions, by userfaultfd. The thread that has it must not touch them itself. */
export class PageGiver {
  readonly regions: readonly ArrivingRegion[];
  readonly #faults: Userfaultfd;

  /**
   * @param faults What the regions are registered with
   * @param regions The regions
   */
  constructor(faults: Userfaultfd, regions: readonly ArrivingRegion[]) {
    this.#faults = faults;
    this.regions = regions;
  }

  /**
   * Puts bytes into their place, unless something is there.
   *
   * @param place Where, a multiple of the page size
   * @param bytes Whole pages
   */
  give({ region, offset }: RegionPlace, bytes: Uint8Array<ArrayBuffer>): void {
    if (bytes.length === 0) return;
    const source = BigInt(addressOf(bytes));
    this.#faults.copy(this.regions[region]!.address + BigInt(offset), source, bytes.length);
  }

  /**
   * Has zeros in a place, but where something is.
   *
   * @param place Where, a multiple of the page size
   * @param size Bytes, whole pages
   */
  giveZeros({ region, offset }: RegionPlace, size: number): void {
    this.#faults.zero(this.regions[region]!.address + BigInt(offset), size);
  }

  /**
   * Tells of each page that somebody waits for.
   *
   * @param asked Called with its place
   */
  asked(asked: (place: RegionPlace) => void): void {
    this.#faults.faults((address) => {
      const region = this.regions.findIndex((region) =>
        address >= region.address && address < region.address + BigInt(region.size)
      );
      if (region < 0) return;
      asked({ region, offset: Number(address - this.regions[region]!.address) });
    });
  }

  /** What has not been given by now is zero. */
  end(): void {
    for (const { address, size } of this.regions) this.#faults.unregister(address, size);
  }
}
