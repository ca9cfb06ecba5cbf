/**
 * Memory of a machine that runs, in rounds: all of it, then what has changed meanwhile, again and again. A
 * later record of one name wins, and records lie on one grid for the whole stream, so that whoever only
 * unpacks it has the memory of the last round.
 *
 * @module
 */
import { memoryRecord } from "./record_names.ts";
import type { SavedRegion } from "./regions.ts";
import { CHUNK } from "./save_stream.ts";
import type { StreamWriter } from "./stream_writer.ts";
import { isZero } from "./zeros.ts";

/** Bytes of a record: a page that changes has its neighbours sent again, and each record has a header. */
const GRID = 16384;
const PAGE = 4096;
/** Pages of a record, which are bits of half a byte. */
const PAGES = GRID / PAGE;
const RECORDS_OF_CHUNK = CHUNK / GRID;
/** Pieces that are read before the first of them has to be written. */
const MOST_READ = 64;

/** Memory that changes while it is read. */
export interface ChangingMemory {
  /**
   * Copies pieces of a region that may have something in them, in order.
   *
   * @param region The region
   * @returns The copies; each stays until 128 others have been read
   */
  copies(region: SavedRegion): Iterable<{ readonly offset: number; readonly bytes: Uint8Array }>;
  /**
   * Copies a piece.
   *
   * @param address Guest-physical address
   * @param length Bytes, at most 64 KiB, within a region
   * @returns The copy; it stays until 128 others have been read
   */
  read(address: number, length: number): Uint8Array;
}

/** For each region a bit a page, the first page's the lowest of the first byte. */
export type DirtyPages = readonly Uint8Array[];

/** The rounds of one stream. */
export class MemoryRounds {
  readonly #writer: StreamWriter;
  readonly #regions: readonly SavedRegion[];
  /** For each region a byte a record: whether there is one in the stream. */
  readonly #sent: readonly Uint8Array[];

  /**
   * @param writer The stream
   * @param regions The machine's regions
   */
  constructor(writer: StreamWriter, regions: readonly SavedRegion[]) {
    this.#writer = writer;
    this.#regions = regions;
    this.#sent = regions.map(({ size }) => new Uint8Array(Math.ceil(size / GRID)));
  }

  /**
   * Sends all memory but for what is zero.
   *
   * @param memory What is in it
   */
  async sendAll(memory: ChangingMemory): Promise<void> {
    let read = 0;
    for (const [i, region] of this.#regions.entries()) {
      if (region.shared !== undefined) continue;
      for (const { offset, bytes } of memory.copies(region)) {
        await this.#send(i, offset, bytes);
        if (++read % MOST_READ === 0) await this.#writer.flush();
      }
    }
    await this.#writer.flush();
  }

  /**
   * Sends what has changed.
   *
   * @param memory What is in it
   * @param dirty Which pages
   */
  async sendDirty(memory: ChangingMemory, dirty: DirtyPages): Promise<void> {
    let read = 0;
    for (const [i, { base, size, shared }] of this.#regions.entries()) {
      if (shared !== undefined) continue;
      for (const [offset, end] of dirtyPieces(dirty[i]!, size)) {
        await this.#send(i, offset, memory.read(base + offset, end - offset));
        if (++read % MOST_READ === 0) await this.#writer.flush();
      }
    }
    await this.#writer.flush();
  }

  async #send(index: number, offset: number, bytes: Uint8Array): Promise<void> {
    const { name } = this.#regions[index]!;
    const sent = this.#sent[index]!;
    for (let at = 0; at < bytes.length; at += GRID) {
      const piece = bytes.subarray(at, at + GRID);
      const number = (offset + at) / GRID;
      // What was something before has to be said to be zero now.
      if (sent[number] === 0 && isZero(piece)) continue;
      sent[number] = 1;
      await this.#writer.record(memoryRecord(name, offset + at), piece);
    }
  }
}

/**
 * Bytes that changed pages make.
 *
 * @param dirty The pages
 * @returns What records of them have
 */
export function dirtyBytes(dirty: DirtyPages): number {
  let records = 0;
  for (const bitmap of dirty) {
    for (const byte of bitmap) {
      if ((byte & 0x0f) !== 0) records++;
      if ((byte & 0xf0) !== 0) records++;
    }
  }
  return records * GRID;
}

/**
 * Pages that are in one of two.
 *
 * @param pages Some; changed in place
 * @param more Others
 */
export function addDirty(pages: DirtyPages, more: DirtyPages): void {
  for (const [i, bitmap] of pages.entries()) {
    const other = more[i]!;
    for (let at = 0; at < bitmap.length; at++) bitmap[at]! |= other[at]!;
  }
}

/** Ranges of records that have changed, each within 64 KiB of a region. */
function* dirtyPieces(bitmap: Uint8Array, size: number): Generator<[offset: number, end: number]> {
  const records = Math.ceil(size / GRID);
  let start = -1;
  for (let record = 0; record < records; record++) {
    const bits = bitmap[(record * PAGES) >> 3]! >> ((record * PAGES) & 7);
    const dirty = (bits & (2 ** PAGES - 1)) !== 0;
    if (start >= 0 && (!dirty || record % RECORDS_OF_CHUNK === 0)) {
      yield [start * GRID, record * GRID];
      start = -1;
    }
    if (dirty && start < 0) start = record;
  }
  if (start >= 0) yield [start * GRID, size];
}
