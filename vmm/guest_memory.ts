/**
 * Guest-physical memory as one thread sees it: regions with holes between them, every access
 * checked against its region with no wrap-around.
 *
 * @module
 */
import { GuestError } from "../ffi/errors.ts";
import type { WriteLog } from "./write_log.ts";

/** A piece of guest-physical memory. */
export interface MemoryRegion {
  /** Guest-physical address of its first byte. */
  readonly base: number;
  /** Its bytes. */
  readonly buffer: ArrayBuffer;
  /** Whether it is RAM; anything else (ROM, files) is left out of the memory map a guest is told. */
  readonly ram: boolean;
  /** Where its bytes lie in this process, for iovecs; left out where only JavaScript looks at them. */
  readonly host?: number;
}

/** Guest-physical memory. Addresses and lengths are numbers, exact to 2^53. */
export class GuestMemory {
  /** The regions in ascending order of address. */
  readonly regions: readonly MemoryRegion[];
  /** Where what devices write is noted. */
  readonly log: WriteLog | undefined;
  readonly #views: readonly DataView[];

  /**
   * @param regions Pieces that don't overlap, in any order
   * @param log Where what devices write is noted, a slot for each region in order of address
   */
  constructor(regions: readonly MemoryRegion[], log?: WriteLog) {
    this.log = log;
    this.regions = regions.toSorted((a, b) => a.base - b.base);
    this.#views = this.regions.map((region) => new DataView(region.buffer));
  }

  /**
   * Where a range lies: index of the region that holds it whole, or -1.
   *
   * @param address Guest-physical address
   * @param length Bytes; 0 asks for the address alone
   * @returns An index into {@linkcode regions}, or -1
   */
  find(address: number, length: number): number {
    for (let i = 0; i < this.regions.length; i++) {
      const { base, buffer } = this.regions[i]!;
      const { byteLength } = buffer;
      const offset = address - base;
      if (offset >= 0 && offset < byteLength && length >= 0 && length <= byteLength - offset) {
        return i;
      }
    }
    return -1;
  }

  /**
   * A live view of a range's bytes.
   *
   * @param address Guest-physical address
   * @param length Bytes
   * @returns The bytes themselves, not a copy
   * @throws {GuestError} If the range is not wholly inside one region
   */
  bytes(address: number, length: number): Uint8Array<ArrayBuffer> {
    const region = this.regions[this.#require(address, length)]!;
    return new Uint8Array(region.buffer, address - region.base, length);
  }

  /**
   * A live DataView of a range, for struct accessors.
   *
   * @param address Guest-physical address
   * @param length Bytes
   * @returns A view whose offset 0 is `address`
   * @throws {GuestError} If the range is not wholly inside one region
   */
  view(address: number, length: number): DataView<ArrayBuffer> {
    const region = this.regions[this.#require(address, length)]!;
    return new DataView(region.buffer, address - region.base, length);
  }

  /**
   * Copies bytes into guest memory.
   *
   * @param address Guest-physical address of the first byte
   * @param data What to write
   * @throws {GuestError} If the range is not wholly inside one region; nothing is written then
   */
  write(address: number, data: Uint8Array): void {
    this.bytes(address, data.length).set(data);
    this.written(address, data.length);
  }

  /**
   * Notes that a range was written through a view of {@linkcode bytes} or {@linkcode view}. Whoever
   * writes so while the guest runs says it here, so that a migration and copies take it along; queues
   * do it themselves.
   *
   * @param address Guest-physical address
   * @param length Bytes
   */
  written(address: number, length: number): void {
    if (this.log === undefined) return;
    this.log.noteAny();
    if (!this.log.on) return;
    const i = this.find(address, length);
    if (i >= 0) this.log.mark(i, address - this.regions[i]!.base, length);
  }

  /**
   * Copies bytes out of guest memory.
   *
   * @param address Guest-physical address of the first byte
   * @param length Bytes
   * @returns A copy
   * @throws {GuestError} If the range is not wholly inside one region
   */
  read(address: number, length: number): Uint8Array<ArrayBuffer> {
    return this.bytes(address, length).slice();
  }

  /**
   * Reads a little-endian `__u32`.
   *
   * @param address Guest-physical address, any alignment
   * @returns The value
   * @throws {GuestError} If it is not wholly inside one region
   */
  readU32(address: number): number {
    const i = this.#require(address, 4);
    return this.#views[i]!.getUint32(address - this.regions[i]!.base, true);
  }

  /**
   * Writes a little-endian `__u32`.
   *
   * @param address Guest-physical address, any alignment
   * @param value 0 to 2^32-1
   * @throws {GuestError} If it is not wholly inside one region
   */
  writeU32(address: number, value: number): void {
    const i = this.#require(address, 4);
    this.#views[i]!.setUint32(address - this.regions[i]!.base, value, true);
    this.written(address, 4);
  }

  /** Bytes of RAM in all regions together. */
  get ramSize(): number {
    return this.regions.reduce((sum, r) => sum + (r.ram ? r.buffer.byteLength : 0), 0);
  }

  #require(address: number, length: number): number {
    const i = this.find(address, length);
    // A view would round a fraction down, and be of other bytes than were asked for.
    if (i < 0 || !Number.isInteger(address) || !Number.isInteger(length)) {
      throw new GuestError(
        `Guest memory has no ${length} bytes at 0x${address.toString(16)}`,
        { hint: `memory is ${this.#map()}` },
      );
    }
    return i;
  }

  #map(): string {
    return this.regions.map((r) =>
      `0x${r.base.toString(16)}-0x${(r.base + r.buffer.byteLength - 1).toString(16)}`
    ).join(", ") || "empty";
  }
}
