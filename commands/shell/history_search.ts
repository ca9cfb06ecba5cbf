/**
 * Ctrl-R: finds a line typed before while its letters are typed. A machine that takes keys and
 * gives what to show; it touches no terminal.
 *
 * @module
 */

/** What a key did. */
export type SearchStep =
  | { readonly kind: "going on" }
  /** The line to edit; `rest` are keys that the search does not know, for the editor. */
  | { readonly kind: "found"; readonly line: string; readonly rest: string }
  | { readonly kind: "given up"; readonly rest: string };

const CTRL_G = "\x07";
const CTRL_C = "\x03";
const CTRL_R = "\x12";
const BACKSPACES = ["\x7f", "\b"];

/** A search through lines, from the newest to the oldest. */
export class HistorySearch {
  readonly #lines: readonly string[];
  #wanted = "";
  #at: number;

  /** @param lines The oldest first */
  constructor(lines: readonly string[]) {
    this.#lines = lines;
    this.#at = lines.length;
  }

  /** What the person sees instead of the prompt and the line. */
  get display(): string {
    const failed = this.#found === undefined && this.#wanted !== "" ? "no " : "";
    return `(${failed}history) ${this.#wanted}: ${this.#found ?? ""}`;
  }

  /**
   * Takes a key.
   *
   * @param key A character, or the escape sequence of a key
   * @returns Whether the search is over, and how
   */
  press(key: string): SearchStep {
    if (key === CTRL_R) this.#seek(this.#at - 1);
    else if (BACKSPACES.includes(key)) {
      this.#wanted = [...this.#wanted].slice(0, -1).join("");
      this.#seek(this.#lines.length - 1);
    } else if (key === CTRL_G || key === CTRL_C) return { kind: "given up", rest: "" };
    else if (/^\P{Cc}/u.test(key)) {
      this.#wanted += key;
      this.#seek(Math.min(this.#at, this.#lines.length - 1));
    } else if (this.#found === undefined) return { kind: "given up", rest: key };
    else return { kind: "found", line: this.#found, rest: key };
    return { kind: "going on" };
  }

  get #found(): string | undefined {
    return this.#lines[this.#at];
  }

  /** Goes to the newest match at or before a place; stays if an older one is not there. */
  #seek(from: number): void {
    if (this.#wanted === "") {
      this.#at = this.#lines.length;
      return;
    }
    for (let at = Math.min(from, this.#lines.length - 1); at >= 0; at--) {
      if (!this.#lines[at]!.includes(this.#wanted)) continue;
      this.#at = at;
      return;
    }
    if (this.#found?.includes(this.#wanted) !== true) this.#at = this.#lines.length;
  }
}
