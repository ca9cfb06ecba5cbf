/**
 * Files of text: made when they are read from their start, taken a write(2) at a time.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import {
  type Access,
  type Answer,
  type Asker,
  type Attributes,
  FileError,
  type FileNode,
  type OpenFile,
} from "./node.ts";

/** What a file of text does; it can be read, written or both. */
export interface TextSource {
  /** What it says now. */
  read?(asker: Asker): Answer<string>;
  /**
   * Takes what one write(2) brought: all of it or nothing.
   *
   * @throws {FileError} What it is refused with
   */
  write?(text: string, asker: Asker): Answer<void>;
}

const READ = 0o400;
const WRITE = 0o200;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * A file of text.
 *
 * @param source What it does
 */
export function textFile(source: TextSource): FileNode {
  const mode = (source.read === undefined ? 0 : READ) | (source.write === undefined ? 0 : WRITE);
  return {
    kind: "file",
    attributes: (): Attributes => ({ mode }),
    open: (access) => new OpenText(source, access),
  };
}

/** One that is open: who reads it in pieces gets pieces of the same text. */
class OpenText implements OpenFile {
  readonly #source: TextSource;
  readonly #access: Access;
  #text: Uint8Array | undefined;

  constructor(source: TextSource, access: Access) {
    this.#source = source;
    this.#access = access;
  }

  async read(position: bigint, size: number, asker: Asker): Promise<Uint8Array> {
    if (!this.#access.read) throw new FileError(Errno.EBADF);
    const at = Number(position);
    if (at === 0 || this.#text === undefined) {
      this.#text = encoder.encode(await this.#source.read!(asker));
    }
    return this.#text.subarray(at, at + size);
  }

  async write(bytes: Uint8Array<ArrayBuffer>, _position: bigint, asker: Asker): Promise<void> {
    if (!this.#access.write) throw new FileError(Errno.EBADF);
    await this.#source.write!(decoder.decode(bytes), asker);
  }
}

/**
 * Text with a line for each key (the flat keyed files of cgroup v2).
 *
 * @param values Values by key; an array's stand one behind the other
 */
export function flatKeyed(values: Readonly<Record<string, unknown>>): string {
  return Object.entries(values).map(([key, value]) =>
    `${key} ${Array.isArray(value) ? value.join(" ") : value}\n`
  ).join("");
}
