/**
 * Ctrl-R: finds a line typed before while its letters are typed. A machine that takes keys and gives what
 * to show; it touches no terminal.
 *
 * @module
 */
import { graphemes } from "../text_width.ts";
import type { Key } from "./keys.ts";

/** What a key did. */
export type SearchStep =
  | { readonly kind: "going on" }
  /** The line to edit; what the key does there is left to be done, but for Enter's and ^G's own. */
  | { readonly kind: "found"; readonly line: string }
  /** What was typed before is to come back; with `key` left to be done if it is not ^G. */
  | { readonly kind: "given up" };

/** A search through lines, from the newest to the oldest. */
export class HistorySearch {
  readonly #lines: readonly string[];
  #wanted = "";
  #at: number;
  #failed = false;

  /** @param lines The oldest first */
  constructor(lines: readonly string[]) {
    this.#lines = lines;
    this.#at = lines.length;
  }

  /** What the person sees in place of the prompt. */
  get prompt(): string {
    return `(${this.#failed ? "no " : ""}history) ${this.#wanted}: `;
  }

  /** The line that is found. */
  get found(): string | undefined {
    return this.#lines[this.#at];
  }

  /** Where in that the letters are. */
  get place(): number {
    return Math.max(0, this.found?.indexOf(this.#wanted) ?? 0);
  }

  /**
   * Takes a key.
   *
   * @param key The key
   * @returns Whether the search is over, and how
   */
  press(key: Key): SearchStep {
    if (key.kind !== "key") {
      this.#wanted += key.text.split("\n")[0]!;
      this.#seek(Math.min(this.#at, this.#lines.length - 1), -1);
      return { kind: "going on" };
    }
    switch (key.name) {
      case "C-r":
        this.#seek(this.#at - 1, -1);
        break;
      case "C-s":
        this.#seek(this.#at + 1, 1);
        break;
      case "Backspace":
        this.#wanted = graphemes(this.#wanted).slice(0, -1).join("");
        this.#seek(this.#lines.length - 1, -1);
        break;
      case "unknown":
        break;
      case "C-g":
      case "C-c":
        return { kind: "given up" };
      default:
        return this.found === undefined
          ? { kind: "given up" }
          : { kind: "found", line: this.found };
    }
    return { kind: "going on" };
  }

  /** Goes to the first match from a place on; stays if there is none. */
  #seek(from: number, step: -1 | 1): void {
    this.#failed = false;
    if (this.#wanted === "") {
      this.#at = this.#lines.length;
      return;
    }
    const shown = this.found;
    for (let at = from; at >= 0 && at < this.#lines.length; at += step) {
      const line = this.#lines[at]!;
      // The same line again is no other one to a person.
      if (!line.includes(this.#wanted) || (at !== this.#at && line === shown)) continue;
      this.#at = at;
      return;
    }
    this.#failed = true;
    if (shown?.includes(this.#wanted) !== true) this.#at = this.#lines.length;
  }
}
