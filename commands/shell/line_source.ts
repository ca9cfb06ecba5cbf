/**
 * Where the shell's lines come from.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";

/** What came. */
export type Line =
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "interrupted" }
  | { readonly kind: "end" };

/** Gives one line after the other. */
export interface LineSource {
  /**
   * @param continuing The line goes on with the one before
   * @returns The next line
   */
  read(continuing: boolean): Promise<Line>;
  /** Shows something to the person who types them, above what is typed; left out where nobody does. */
  tell?(text: string): void;
}

/** A longer one is no line that somebody wrote. */
const MAX_LINE = 1 << 20;

/** Lines fed through a pipe or from a file. */
export class FedLines implements LineSource {
  readonly #read: (buffer: Uint8Array) => Promise<number | null>;
  readonly #decoder = new TextDecoder();
  readonly #buffer = new Uint8Array(65536);
  #text = "";
  #ended = false;

  /** @param read Reads some bytes; null at the end */
  constructor(read: (buffer: Uint8Array) => Promise<number | null>) {
    this.#read = read;
  }

  async read(): Promise<Line> {
    for (;;) {
      const newline = this.#text.indexOf("\n");
      if (newline >= 0) return this.#take(newline + 1);
      if (this.#ended) return this.#text === "" ? { kind: "end" } : this.#take(this.#text.length);
      if (this.#text.length > MAX_LINE) {
        throw new UsageError("A line is longer than 1 MiB", { hint: "feed hvsh lines of text" });
      }
      const count = await this.#read(this.#buffer);
      this.#ended = count === null;
      this.#text += count === null
        ? this.#decoder.decode()
        : this.#decoder.decode(this.#buffer.subarray(0, count), { stream: true });
    }
  }

  #take(end: number): Line {
    const text = this.#text.slice(0, end);
    this.#text = this.#text.slice(end);
    return { kind: "line", text: text.replace(/\r?\n$/, "") };
  }
}
