/**
 * From the pieces of an expanded word to fields (POSIX.1-2017 XCU 2.6.5): what an expansion gave
 * outside of quotes is split where IFS says.
 *
 * @module
 */
import { literal } from "./pattern.ts";

/** What IFS is unless somebody sets it. */
const DEFAULT_IFS = " \t\n";

/** A field: its text, and the pattern that it is. */
export interface Field {
  readonly text: string;
  /** Quoted characters have a backslash before them. */
  readonly pattern: string;
}

/** Gathers the fields of a word. */
export class FieldBuilder {
  readonly #fields: Field[] = [];
  readonly #blanks: string;
  readonly #marks: string;
  #current: { text: string; pattern: string } | undefined;
  /** The field before ended at a blank, to which one mark may belong. */
  #blankBefore = false;

  /** @param ifs The value of IFS; undefined if it is not set */
  constructor(ifs: string | undefined) {
    const separators = ifs ?? DEFAULT_IFS;
    this.#blanks = [...separators].filter((c) => DEFAULT_IFS.includes(c)).join("");
    this.#marks = [...separators].filter((c) => !DEFAULT_IFS.includes(c)).join("");
  }

  /**
   * Adds text that is not split.
   *
   * @param text The text
   * @param quoted Whether its characters stand for themselves alone
   */
  add(text: string, quoted: boolean): void {
    const current = this.#current ??= { text: "", pattern: "" };
    current.text += text;
    current.pattern += quoted ? literal(text) : text;
    this.#blankBefore = false;
  }

  /**
   * Adds text that is split.
   *
   * @param text What an expansion gave outside of quotes
   */
  split(text: string): void {
    let piece = "";
    const flush = () => {
      if (piece !== "") this.add(piece, false);
      piece = "";
    };
    for (const character of text) {
      if (this.#blanks.includes(character)) {
        flush();
        if (this.#current === undefined) continue;
        this.end();
        this.#blankBefore = true;
      } else if (this.#marks.includes(character)) {
        flush();
        if (this.#blankBefore) this.#blankBefore = false;
        else {
          this.#current ??= { text: "", pattern: "" };
          this.end();
        }
      } else piece += character;
    }
    flush();
  }

  /** Ends the field, if there is one. */
  end(): void {
    if (this.#current !== undefined) this.#fields.push(this.#current);
    this.#current = undefined;
    this.#blankBefore = false;
  }

  /** All of them. */
  get fields(): readonly Field[] {
    this.end();
    return this.#fields;
  }
}
