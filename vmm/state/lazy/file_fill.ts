/**
 * Memory from a stream in a file: its records are found by their headers, which must prove whole first, and
 * what somebody waits for is read next, then what lies behind that.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import { Errno } from "../../../ffi/errno.ts";
import { DocumentError, HostError } from "../../../ffi/errors.ts";
import { errno, libc } from "../../../ffi/libc.ts";
import { StreamReader, type StreamTarget } from "../stream_reader.ts";
import type { Fill, StateRecord } from "./fill.ts";
import { GRANULE, PAGE, placeOf, requirePages, WITHOUT_LAZY } from "./memory_place.ts";
import type { PageGiver, RegionPlace } from "./page_giver.ts";

/** Headers that are read between two looks at whether to stop. */
const HEADERS_A_STEP = 1024;
/** A guest that asks for nothing for so long has what it works with. */
const QUIET_MILLISECONDS = 1000;

/** A record of memory in the file. */
interface Piece {
  readonly name: string;
  readonly size: number;
  /** Where its bytes are, from the file's start. */
  readonly position: number;
  readonly crc: number | undefined;
}

/** A record, and where it belongs. */
interface PlacedPiece extends Piece, RegionPlace {
  given: boolean;
}

/** A file's memory. */
export class FileFill implements Fill, StreamTarget {
  readonly state: StateRecord[] = [];
  readonly waitsFor = undefined;
  readonly workingSet: string[] = [];
  patience = 0;
  readonly #fd: number;
  readonly #path: string;
  readonly #edited: boolean;
  readonly #records: boolean;
  /** What is to be read first. */
  readonly #first: readonly string[];
  readonly #reader: StreamReader;
  readonly #found: Piece[] = [];
  #position: number;
  #giver: PageGiver | undefined;
  /** The pieces as they lie in memory. */
  #pieces: PlacedPiece[] = [];
  /** The working set, the next one last. */
  #queue: PlacedPiece[] = [];
  #next = 0;
  #left = 0;
  #staging = new Uint8Array(GRANULE);
  #at = "";

  /**
   * @param fd The file; stays the caller's
   * @param options `path` is for errors, `position` where the stream starts, and `edited` takes records
   *   that somebody has changed; the records of `workingSet` are read first, and where it is to be found
   *   out, `new`, nothing that nobody asks for is read before nobody has asked for a while
   */
  constructor(
    fd: number,
    { path, position, edited, workingSet = [] }: {
      readonly path: string;
      readonly position: number;
      readonly edited: boolean;
      readonly workingSet?: readonly string[] | "new";
    },
  ) {
    this.#records = workingSet === "new";
    this.#first = workingSet === "new" ? [] : workingSet;
    this.#fd = fd;
    this.#path = path;
    this.#position = position;
    this.#edited = edited;
    this.#reader = new StreamReader(this, { edited });
  }

  get at(): string {
    return this.#at;
  }

  step(): boolean {
    return this.#giver === undefined ? this.#find() : this.#read();
  }

  passes(name: string, size: number, crc: number | undefined): boolean {
    requirePages(name, size);
    if (size > 0) this.#found.push({ name, size, crc, position: this.#position });
    return true;
  }

  memory(name: string): Uint8Array {
    throw new Error(`${name} is passed over`);
  }

  record(name: string, content: Uint8Array<ArrayBuffer>): void {
    this.state.push([name, content]);
  }

  /** Reads all but memory. */
  #find(): boolean {
    const reader = this.#reader;
    for (let headers = 0; !reader.done && headers < HEADERS_A_STEP;) {
      if (reader.skip > 0) {
        this.#position += reader.skip;
        reader.skipped();
        headers++;
        continue;
      }
      const { place } = reader;
      const count = this.#readAt(place as Uint8Array<ArrayBuffer>, this.#position);
      if (count === 0) reader.close();
      this.#position += count;
      reader.advance(count);
      this.#at = reader.at;
    }
    return reader.done;
  }

  begin(giver: PageGiver): void {
    this.#giver = giver;
    const pieces = this.#found.map((piece) => ({
      ...piece,
      ...placeOf(piece.name, piece.size, giver.regions),
      given: false,
    }));
    pieces.sort((a, b) => a.region - b.region || a.offset - b.offset);
    for (const [i, { name, region, offset }] of pieces.entries()) {
      const before = pieces[i - 1];
      if (before?.region !== region || before.offset + before.size <= offset) continue;
      throw new DocumentError(`${name} is there twice, or a part of it`, { hint: WITHOUT_LAZY });
    }
    this.#pieces = pieces;
    const byName = new Map(pieces.map((piece) => [piece.name, piece]));
    // Of another stream's working set there may be records that are not here.
    this.#queue = this.#first.map((name) => byName.get(name)).filter((piece) => piece !== undefined)
      .reverse();
    if (this.#records) this.patience = QUIET_MILLISECONDS;
    this.#left = pieces.length;
  }

  asked(place: RegionPlace): void {
    const index = this.#pieceAt(place);
    const piece = this.#pieces[index];
    if (piece !== undefined && covers(piece, place)) {
      if (this.#records && !piece.given) this.workingSet.push(piece.name);
      if (piece.given) this.#giver!.giveZeros(pageOf(place), PAGE); // given back since
      else this.#give(piece);
      this.#next = index + 1;
      return;
    }
    // Nothing but zeros between this piece and the next.
    const start = place.offset - place.offset % GRANULE;
    const next = this.#pieces[index + 1];
    const from = piece?.region === place.region
      ? Math.max(start, piece.offset + piece.size)
      : start;
    const end = Math.min(
      start + GRANULE,
      this.#giver!.regions[place.region]!.size,
      next?.region === place.region ? next.offset : Infinity,
    );
    this.#giver!.giveZeros({ region: place.region, offset: from }, end - from);
  }

  quiet(): void {
    this.patience = 0;
  }

  /** Gives the next piece that nobody has asked for. */
  #read(): boolean {
    if (this.#left === 0) return true;
    for (let piece = this.#queue.pop(); piece !== undefined; piece = this.#queue.pop()) {
      if (piece.given) continue;
      this.#give(piece);
      return this.#left === 0;
    }
    const count = this.#pieces.length;
    while (this.#pieces[this.#next % count]!.given) this.#next++;
    this.#give(this.#pieces[this.#next % count]!);
    return this.#left === 0;
  }

  #give(piece: PlacedPiece): void {
    const { name, size, position, crc } = piece;
    this.#at = name;
    if (size > this.#staging.length) this.#staging = new Uint8Array(size);
    const bytes = this.#staging.subarray(0, size);
    for (let done = 0; done < size;) {
      const count = this.#readAt(bytes.subarray(done), position + done);
      if (count === 0) throw new DocumentError(`The stream is cut off in ${name}`);
      done += count;
    }
    if (!this.#edited && crc32(bytes) !== crc) {
      throw new DocumentError(`${name} has been changed: its CRC-32 is not what its header says`);
    }
    this.#giver!.give(piece, bytes);
    piece.given = true;
    this.#left--;
  }

  /** The last piece that starts at a place or before; -1 if there is none. */
  #pieceAt({ region, offset }: RegionPlace): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const piece = this.#pieces[middle]!;
      if (piece.region < region || piece.region === region && piece.offset <= offset) {
        low = middle + 1;
      } else high = middle;
    }
    return low - 1;
  }

  #readAt(into: Uint8Array<ArrayBuffer>, position: number): number {
    for (;;) {
      const count = libc.pread(this.#fd, into, BigInt(into.length), BigInt(position));
      if (count >= 0) return Number(count);
      const code = errno();
      if (code !== Errno.EINTR) throw new HostError("pread", code, { path: this.#path });
    }
  }
}

function pageOf({ region, offset }: RegionPlace): RegionPlace {
  return { region, offset: offset - offset % PAGE };
}

function covers(piece: PlacedPiece, { region, offset }: RegionPlace): boolean {
  return piece.region === region && offset < piece.offset + piece.size;
}
