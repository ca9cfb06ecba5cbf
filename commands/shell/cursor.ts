/**
 * A place in a script's text, which the lexer and those that read inside of words move on together.
 *
 * @module
 */
import type { Script } from "./tree.ts";
import { ShellSyntaxError } from "./syntax_error.ts";

/** Far more than anybody writes, and far less than the stack takes. */
const MOST_DEPTH = 100;

/** Reads the commands of a `$(`, up to and with its `)`. */
export type ReadScript = (cursor: Cursor) => Script;

/** A place in a text. */
export class Cursor {
  readonly source: string;
  /** Offset in UTF-16 units. */
  at: number;
  #depth: number;

  /**
   * @param source The text
   * @param at Where to begin
   * @param depth How deep inside of other commands that is
   */
  constructor(source: string, at = 0, depth = 0) {
    this.source = source;
    this.at = at;
    this.#depth = depth;
  }

  /** How deep inside of other commands and words it is. */
  get depth(): number {
    return this.#depth;
  }

  /** The character there; undefined at the end. */
  get character(): string | undefined {
    return this.source[this.at];
  }

  /**
   * @param text Some text
   * @returns Whether it stands there
   */
  startsWith(text: string): boolean {
    return this.source.startsWith(text, this.at);
  }

  /**
   * Reads what stands inside of something else.
   *
   * @param read Reads it
   * @returns What it gives
   * @throws {ShellSyntaxError} If that is too deep
   */
  nested<T>(read: () => T): T {
    if (this.#depth >= MOST_DEPTH) {
      throw new ShellSyntaxError(
        `Cannot nest commands more than ${MOST_DEPTH} deep`,
        { start: this.at, end: this.at },
        { hint: "write the inner ones as a function: name() { …; }" },
      );
    }
    this.#depth++;
    const result = read();
    this.#depth--;
    return result;
  }
}
