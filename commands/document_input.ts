/**
 * VM documents and handles from a stage before: JSON objects one behind the other, as NDJSON has
 * them or laid out over several lines, as `jq` without `-c` writes them.
 *
 * @module
 */
import { DocumentError } from "../ffi/errors.ts";
import { foreignInput, SNIFF_BYTES } from "./foreign_input.ts";
import { jsonErrorOffset } from "./json_error_offset.ts";

/** An object longer than this is refused before it has been read to its end. */
export const MAX_OBJECT_BYTES = 16 * 2 ** 20;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const NEWLINE = 0x0a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** A JSON object. */
export type JsonObject = Record<string, unknown>;

/**
 * Reads JSON objects from bytes.
 *
 * @param chunks The bytes, cut anywhere
 * @param where What to call them in an error, `stdin` or a path
 * @returns Each object as soon as its last brace is there
 * @throws {DocumentError} If there is anything else, naming what and where
 */
export async function* readObjects(
  chunks: AsyncIterable<Uint8Array>,
  where = "stdin",
): AsyncGenerator<JsonObject> {
  const splitter = new ObjectSplitter(where);
  for await (const chunk of chunks) yield* splitter.push(chunk);
  splitter.end();
}

class ObjectSplitter {
  readonly #where: string;
  /** The bytes so far of an object that began in an earlier chunk, or of what is not one. */
  #pending: Uint8Array[] = [];
  #pendingLength = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** The first byte outside of an object was none that an object can start with. */
  #foreign = false;
  /** Line and column, from 1, of the first pending byte. */
  #line = 1;
  #column = 1;

  constructor(where: string) {
    this.#where = where;
  }

  *push(chunk: Uint8Array): Generator<JsonObject> {
    let start = 0;
    for (let i = 0; i < chunk.length && !this.#foreign; i++) {
      const byte = chunk[i]!;
      if (this.#depth === 0) {
        if (byte === 0x20 || byte === 0x09 || byte === 0x0d || byte === NEWLINE) continue;
        this.#advance(chunk.subarray(start, i));
        start = i;
        if (byte === OPEN_BRACE) this.#depth = 1;
        else this.#foreign = true;
      } else if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === BACKSLASH) this.#escaped = true;
        else if (byte === QUOTE) this.#inString = false;
      } else if (byte === QUOTE) this.#inString = true;
      else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) this.#depth++;
      else if ((byte === CLOSE_BRACE || byte === CLOSE_BRACKET) && --this.#depth === 0) {
        this.#keep(chunk.subarray(start, i + 1));
        start = i + 1;
        yield this.#take();
      }
    }
    if (this.#depth > 0 || this.#foreign) this.#keep(chunk.slice(start));
    else this.#advance(chunk.subarray(start));
    if (this.#foreign && this.#pendingLength >= SNIFF_BYTES) this.#refuse();
  }

  end(): void {
    if (this.#foreign) this.#refuse();
    if (this.#depth === 0) return;
    throw new DocumentError(
      `VM document on ${this.#where} ends in the middle of the object that starts at ${this.#place()}`,
      { hint: "did the stage before fail?" },
    );
  }

  #keep(bytes: Uint8Array): void {
    this.#pending.push(bytes);
    this.#pendingLength += bytes.length;
    if (this.#pendingLength > MAX_OBJECT_BYTES) {
      throw new DocumentError(
        `VM document on ${this.#where}: the object at ${this.#place()} is longer than 16 MiB`,
        { hint: "name large images by their paths" },
      );
    }
  }

  #take(): JsonObject {
    const bytes = this.#joined();
    this.#pending = [];
    this.#pendingLength = 0;
    const text = this.#decode(bytes);
    try {
      const object = JSON.parse(text) as JsonObject;
      this.#advance(bytes);
      return object;
    } catch (error) {
      const offset = jsonErrorOffset(text);
      this.#advance(new TextEncoder().encode(text.slice(0, offset)));
      const found = offset < text.length ? ` at "${excerpt(text, offset)}"` : "";
      throw new DocumentError(
        `VM document on ${this.#where}, ${this.#place()}: it is not JSON${found}`,
        { cause: error },
      );
    }
  }

  #decode(bytes: Uint8Array): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (error) {
      const offset = invalidUtf8Offset(bytes);
      this.#advance(bytes.subarray(0, offset));
      const byte = bytes[offset]!.toString(16).padStart(2, "0");
      throw new DocumentError(
        `VM document on ${this.#where}, ${this.#place()}: the byte 0x${byte} is not UTF-8`,
        { cause: error },
      );
    }
  }

  #refuse(): never {
    const { what, hint } = foreignInput(this.#joined());
    throw new DocumentError(
      `There is no VM document on ${this.#where}: ${what}`,
      hint === undefined ? {} : { hint },
    );
  }

  #joined(): Uint8Array {
    if (this.#pending.length === 1) return this.#pending[0]!;
    const bytes = new Uint8Array(this.#pendingLength);
    let at = 0;
    for (const piece of this.#pending) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  #advance(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (byte === NEWLINE) {
        this.#line++;
        this.#column = 1;
      } else if (!isContinuation(byte)) this.#column++;
    }
  }

  #place(): string {
    return `line ${this.#line}, column ${this.#column}`;
  }
}

function excerpt(text: string, offset: number): string {
  return text.slice(offset, offset + 20).replace(/[\s\p{C}].*$/su, "") || text[offset]!;
}

/** Where the first sequence of bytes starts that is no character. */
function invalidUtf8Offset(bytes: Uint8Array): number {
  let valid = 0;
  let invalid = bytes.length;
  // A prefix that is cut inside a character counts as valid here.
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (isUtf8(bytes.subarray(0, middle), true)) valid = middle;
    else invalid = middle;
  }
  if (isUtf8(bytes.subarray(0, valid), false)) return valid;
  do valid--; while (isContinuation(bytes[valid]!));
  return valid;
}

function isUtf8(bytes: Uint8Array, stream: boolean): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream });
    return true;
  } catch {
    return false;
  }
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
