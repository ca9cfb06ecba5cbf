/**
 * Writes a VM's state as a stream: a tar archive whose last record says how many came before it.
 *
 *     vm.json          the document, with what else belongs to the whole under "state"
 *     mem/REGION/AT    a piece of memory, AT bytes from its region's start; what is zero is left out
 *     cpu/N.json  board.json  dev/NAME.json
 *     end.json         {"records": N, "digest": "…"}
 *
 * The digest is the CRC-32 of all headers, each of which has the CRC-32 of its content.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import { BLOCK, padding, TarHeaderWriter } from "./tar_header.ts";

/** The record that ends a stream. */
export const END = "end.json";

/** Takes a stream's bytes, all of them, in order. */
export interface StreamSink {
  /**
   * Writes pieces one after the other; they may change once it has resolved.
   *
   * @param pieces At most 512 of them, 16 MiB together
   * @throws {HostError} If they can't be written
   */
  write(pieces: readonly Uint8Array[]): Promise<void> | void;
}

const MOST_PIECES = 512;
const MOST_BYTES = 2 ** 18;
const ZEROS = new Uint8Array(2 * BLOCK);
const encoder = new TextEncoder();

/** Writes one stream. */
export class StreamWriter {
  readonly #sink: StreamSink;
  readonly #header: TarHeaderWriter;
  readonly #headers: readonly Uint8Array[];
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #usedHeaders = 0;
  #records = 0;
  #digest = 0;
  #written = 0;

  /**
   * @param sink Where it goes
   * @param milliseconds The time that its records show, since 1970
   */
  constructor(sink: StreamSink, milliseconds: number = Date.now()) {
    this.#sink = sink;
    this.#header = new TarHeaderWriter(Math.floor(milliseconds / 1000));
    const block = new Uint8Array(MOST_PIECES * BLOCK);
    this.#headers = Array.from(
      { length: MOST_PIECES },
      (_, i) => block.subarray(i * BLOCK, (i + 1) * BLOCK),
    );
  }

  /** Bytes so far. */
  get written(): number {
    return this.#written + this.#bytes;
  }

  /**
   * Adds a record of JSON, on lines of its own for who reads it.
   *
   * @param name Its name in the archive
   * @param value What `JSON.stringify` takes
   */
  async json(name: string, value: unknown): Promise<void> {
    await this.record(name, encoder.encode(JSON.stringify(value, undefined, 1) + "\n"));
  }

  /**
   * Adds a record.
   *
   * @param name Its name in the archive
   * @param content Its content, which must stay as it is until `flush` has resolved
   * @returns A promise only if it has to wait
   */
  record(name: string, content: Uint8Array): Promise<void> | void {
    if (this.#pieces.length + 3 <= MOST_PIECES && this.#bytes + content.length <= MOST_BYTES) {
      return this.#record(name, content);
    }
    const flushed = this.#flush();
    if (flushed === undefined) return this.#record(name, content);
    return flushed.then(() => this.#record(name, content));
  }

  #record(name: string, content: Uint8Array): void {
    const header = this.#headers[this.#usedHeaders++]!;
    this.#header.write(header, name, content.length, crc32(content));
    this.#digest = crc32(header, this.#digest);
    this.#records++;
    this.#add(header);
    this.#add(content);
    this.#add(ZEROS.subarray(0, padding(content.length)));
  }

  /** Has all that was added so far written. */
  async flush(): Promise<void> {
    await this.#flush();
  }

  #flush(): Promise<void> | void {
    if (this.#pieces.length === 0) return;
    const written = this.#sink.write(this.#pieces);
    if (written === undefined) return this.#flushed();
    return written.then(() => this.#flushed());
  }

  #flushed(): void {
    this.#written += this.#bytes;
    this.#pieces = [];
    this.#bytes = 0;
    this.#usedHeaders = 0;
  }

  /** Ends the stream; nothing is added any more. */
  async end(): Promise<void> {
    const digest = this.#digest.toString(16).padStart(8, "0");
    await this.json(END, { records: this.#records, digest });
    this.#add(ZEROS);
    await this.flush();
  }

  #add(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }
}
