/**
 * Reads a stream as it arrives: it says where the next bytes belong, so that memory is filled without
 * another copy, and checks each record when it is whole.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import { DocumentError } from "../../ffi/errors.ts";
import { notAStream } from "./not_a_stream.ts";
import { END } from "./stream_writer.ts";
import { BLOCK, padding, parseTarHeader, TarError, type TarHeader } from "./tar_header.ts";

/** Takes a stream's records. */
export interface StreamTarget {
  /**
   * Gives the place for a piece of memory.
   *
   * @param name The record's name, `mem/REGION/AT`
   * @param size Bytes
   * @returns Where they belong
   * @throws {DocumentError} If there is no such place
   */
  memory(name: string, size: number): Uint8Array;
  /**
   * Told that a piece of memory is in its place, and is what was written.
   *
   * @param name The record's name
   * @param bytes The place, as {@linkcode memory} gave it
   */
  memoryDone?(name: string, bytes: Uint8Array): void;
  /**
   * Whether a piece of memory is passed over for now: who reads the stream may leave its bytes out.
   *
   * @param name The record's name
   * @param size Bytes
   * @param crc The CRC-32 of its content; undefined if another program has written it
   */
  passes?(name: string, size: number, crc: number | undefined): boolean;
  /**
   * Takes a record.
   *
   * @param name Its name
   * @param content What it says
   */
  record(name: string, content: Uint8Array<ArrayBuffer>): void;
}

/** How strictly a stream is taken. */
export interface StreamOptions {
  /** Take records as they are that somebody has changed: neither CRCs nor the end's digest count. */
  readonly edited?: boolean;
}

/** A record that is no memory is JSON or an image of a disk in a folder: this much is read into one. */
const MOST_RECORD = 2 ** 28;
/** What another program says about a file is passed over. */
const MOST_PAX = 2 ** 16;
const NAME = /^[a-z0-9][A-Za-z0-9._/-]*$/;
const PATH_UP = /(^|\/)\.\.?(\/|$)|\/\//;

/** Where the reader is. */
const enum Part {
  HEADER,
  CONTENT,
  PADDING,
  /** What is of no account. */
  PASSED,
  ZEROS,
  DONE,
}

/** Reads one stream. */
export class StreamReader {
  readonly #target: StreamTarget;
  readonly #edited: boolean;
  readonly #header = new Uint8Array(BLOCK);
  readonly #padding = new Uint8Array(BLOCK);
  #part = Part.HEADER;
  #place: Uint8Array = this.#header;
  #filled = 0;
  #current: TarHeader | undefined;
  #isMemory = false;
  #skip = 0;
  /** Records before the end's, and the digest of their headers. */
  #records = 0;
  #digest = 0;
  #last = "";
  #end: { readonly records?: unknown; readonly digest?: unknown } | undefined;

  /**
   * @param target Takes the records
   * @param options How strictly
   */
  constructor(target: StreamTarget, options: StreamOptions = {}) {
    this.#target = target;
    this.#edited = options.edited === true;
  }

  /** Whether the end has been read; what follows is not the stream's. */
  get done(): boolean {
    return this.#part === Part.DONE;
  }

  /** The record that is being read, or was read last; for errors. */
  get at(): string {
    return this.#current?.name ?? this.#last;
  }

  /** Where the next bytes belong; never empty before the stream is done. */
  get place(): Uint8Array {
    return this.#filled === 0 ? this.#place : this.#place.subarray(this.#filled);
  }

  /** How many bytes come next that nobody wants; while there are some, `place` is not to be filled. */
  get skip(): number {
    return this.#skip;
  }

  /** Says that those have been passed over. */
  skipped(): void {
    this.#skip = 0;
    this.#last = this.#current!.name;
    this.#current = undefined;
    this.#expect(Part.HEADER, this.#header);
  }

  /**
   * Says that bytes are in their place.
   *
   * @param count How many, at most as long as {@linkcode place} is
   * @throws {DocumentError} Naming the record at fault
   */
  advance(count: number): void {
    this.#filled += count;
    if (this.#filled < this.#place.length) return;
    this.#step();
    while (this.#place.length === 0 && this.#part !== Part.DONE) this.#step();
  }

  /**
   * Takes bytes from elsewhere.
   *
   * @param bytes Some of the stream
   * @returns How many of them were the stream's: all, unless it is done
   * @throws {DocumentError} Naming the record at fault
   */
  push(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && !this.done) {
      const { place } = this;
      const count = Math.min(place.length, bytes.length - at);
      place.set(bytes.subarray(at, at + count));
      this.advance(count);
      at += count;
    }
    return at;
  }

  /**
   * Says that there is no more.
   *
   * @throws {DocumentError} If that is too early
   */
  close(): void {
    if (this.done) return;
    if (this.#current === undefined && this.#last === "") {
      const bytes = this.#header.subarray(0, this.#filled);
      throw notAStream(bytes, "The stream is cut off before its first record");
    }
    const where = this.#current === undefined ? `after ${this.#last}` : `in ${this.#current.name}`;
    throw new DocumentError(`The stream is cut off ${where}`, {
      hint: "did the stage before fail?",
    });
  }

  #step(): void {
    switch (this.#part) {
      case Part.HEADER:
        return this.#headerDone();
      case Part.CONTENT:
        return this.#contentDone();
      case Part.PADDING:
        return this.#paddingDone();
      case Part.PASSED:
        return this.#expect(Part.HEADER, this.#header);
      case Part.ZEROS:
        return this.#zerosDone();
      case Part.DONE:
        return;
    }
  }

  #expect(part: Part, place: Uint8Array): void {
    this.#part = part;
    this.#place = place;
    this.#filled = 0;
  }

  #headerDone(): void {
    let header: TarHeader | undefined;
    try {
      header = parseTarHeader(this.#header);
    } catch (error) {
      if (!(error instanceof TarError)) throw error;
      if (this.#last === "") {
        throw notAStream(this.#header, `What comes first ${error.message}`);
      }
      throw new DocumentError(`What follows ${this.#last} ${error.message}`);
    }
    if (header === undefined) {
      if (this.#end === undefined) this.#cutOff();
      return this.#expect(Part.ZEROS, this.#padding);
    }
    const { name, size, crc, file, pax = false } = header;
    if (!file) {
      const passed = pax ? size <= MOST_PAX : size === 0;
      if (!this.#edited || !passed) {
        throw new DocumentError(`${JSON.stringify(name)} is no plain file`);
      }
      return this.#expect(Part.PASSED, new Uint8Array(size + padding(size)));
    }
    if (!NAME.test(name) || PATH_UP.test(name)) {
      throw new DocumentError(`The stream has a record named ${JSON.stringify(name)}`);
    }
    if (crc === undefined && !this.#edited) {
      throw new DocumentError(`${name} has no CRC: another program has written it`, {
        hint: "`hvsh restore --edited` takes it as it is",
      });
    }
    if (this.#end !== undefined && !this.#edited) {
      throw new DocumentError(`${name} comes after the end of the stream`);
    }
    if (name !== END) {
      this.#records++;
      this.#digest = crc32(this.#header, this.#digest);
    }
    this.#current = header;
    this.#isMemory = name.startsWith("mem/");
    if (!this.#isMemory && size > MOST_RECORD) {
      throw new DocumentError(`${name} has ${size} bytes, more than ${MOST_RECORD}`);
    }
    if (this.#isMemory && this.#target.passes?.(name, size, crc)) {
      this.#skip = size + padding(size);
      if (this.#skip === 0) this.skipped();
      return;
    }
    this.#expect(
      Part.CONTENT,
      this.#isMemory ? this.#target.memory(name, size) : new Uint8Array(size),
    );
  }

  #contentDone(): void {
    const { name, size, crc } = this.#current!;
    const content = this.#place;
    if (!this.#edited && crc32(content) !== crc) {
      throw new DocumentError(`${name} has been changed: its CRC-32 is not what its header says`, {
        hint: "`hvsh restore --edited` takes it as it is",
      });
    }
    if (name === END) this.#readEnd(content);
    else if (this.#isMemory) this.#target.memoryDone?.(name, content);
    else this.#target.record(name, content as Uint8Array<ArrayBuffer>);
    this.#expect(Part.PADDING, this.#padding.subarray(0, padding(size)));
  }

  #paddingDone(): void {
    const { name } = this.#current!;
    this.#requireZeros(`behind ${name}`);
    this.#last = name;
    this.#current = undefined;
    this.#expect(Part.HEADER, this.#header);
  }

  #zerosDone(): void {
    this.#requireZeros(`behind ${END}`);
    this.#expect(Part.DONE, new Uint8Array(0));
  }

  #readEnd(content: Uint8Array): void {
    try {
      this.#end = JSON.parse(new TextDecoder().decode(content)) ?? {};
    } catch (error) {
      throw new DocumentError(`${END} is no JSON`, { cause: error });
    }
    if (this.#edited) return;
    const { records, digest } = this.#end!;
    if (records !== this.#records) {
      throw new DocumentError(`${END}: the stream had ${records} records, not ${this.#records}`);
    }
    if (digest !== this.#digest.toString(16).padStart(8, "0")) {
      throw new DocumentError(`${END}: some record's header is not what was written`);
    }
  }

  #requireZeros(where: string): void {
    if (this.#edited || this.#place.every((byte) => byte === 0)) return;
    throw new DocumentError(`The stream has something ${where} where zeros belong`);
  }

  #cutOff(): never {
    throw new DocumentError(`The stream ends after ${this.#last || "nothing"}, without ${END}`, {
      hint: "did the stage before fail?",
    });
  }
}
