/**
 * Which clusters an overlay has: the bitmap in memory, and which of its pages the file lacks.
 *
 * @module
 */
import { HostError } from "../../../ffi/errors.ts";
import { readAll, writeAll } from "../../../ffi/disk_file.ts";
import { BITMAP_OFFSET, bitmapBytes, CLUSTER } from "./overlay_format.ts";

const PAGE = 4096;

/** The bitmap of an overlay that is in use. */
export class OverlayMap {
  readonly #fd: number;
  readonly #bits: Uint8Array<ArrayBuffer>;
  /** A flag a page of the bitmap: the file has an older one. */
  readonly #stale: Uint8Array<ArrayBuffer>;
  /** What a flush writes: pages as they were when it began. */
  readonly #taken: { page: number; bits: Uint8Array<ArrayBuffer> }[] = [];

  /**
   * @param fd The overlay's file
   * @param size Bytes of the disk
   * @param load Whether the file has a bitmap already
   * @throws {HostError} If it cannot be read
   */
  constructor(fd: number, size: number, load: boolean) {
    this.#fd = fd;
    this.#bits = new Uint8Array(bitmapBytes(size));
    this.#stale = new Uint8Array(this.#bits.length / PAGE);
    if (!load) return;
    // A file that ends early, as a new one does, has zeros there.
    const count = readAll(fd, this.#bits, BITMAP_OFFSET);
    if (count < 0) throw new HostError("pread", -count, { path: "overlay" });
  }

  /** Whether a cluster is in the overlay. */
  has(cluster: number): boolean {
    return (this.#bits[cluster >>> 3]! & (1 << (cluster & 7))) !== 0;
  }

  /** Notes that a cluster is in the overlay now. */
  add(cluster: number): void {
    this.#bits[cluster >>> 3]! |= 1 << (cluster & 7);
    this.#stale[Math.floor(cluster / 8 / PAGE)] = 1;
  }

  /**
   * How far a range lies in one file.
   *
   * @param offset Bytes from the disk's start
   * @param length Bytes, above 0
   * @returns How many of the bytes lie where the first one does
   */
  run(offset: number, length: number): number {
    const first = Math.floor(offset / CLUSTER);
    const last = Math.floor((offset + length - 1) / CLUSTER);
    const has = this.has(first);
    for (let cluster = first + 1; cluster <= last; cluster++) {
      if (this.has(cluster) !== has) return cluster * CLUSTER - offset;
    }
    return length;
  }

  /** Whether the file lacks something. */
  get stale(): boolean {
    return this.#stale.includes(1);
  }

  /** Copies what the file lacks, for {@linkcode store} after the data is durable. */
  take(): void {
    this.#taken.length = 0;
    for (let page = 0; page < this.#stale.length; page++) {
      if (this.#stale[page] === 0) continue;
      this.#stale[page] = 0;
      this.#taken.push({ page, bits: this.#bits.slice(page * PAGE, (page + 1) * PAGE) });
    }
  }

  /** Puts what was taken back: it did not become durable. */
  putBack(): void {
    for (const { page } of this.#taken) this.#stale[page] = 1;
    this.#taken.length = 0;
  }

  /**
   * Writes what was taken.
   *
   * @returns 0, or an errno
   */
  store(): number {
    for (const { page, bits } of this.#taken) {
      const failure = writeAll(this.#fd, bits, PAGE, BITMAP_OFFSET + page * PAGE);
      if (failure !== 0) return failure;
    }
    return 0;
  }

  /** Whether {@linkcode store} has something to write. */
  get hasTaken(): boolean {
    return this.#taken.length > 0;
  }
}
