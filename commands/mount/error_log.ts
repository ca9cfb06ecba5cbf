/**
 * What was refused and why, for the file `error_log`: an error number alone can't say it.
 *
 *     vms/web/vcpus/0/regs: There is no register "raz" (did you mean rax?)
 *       rbx=1 raz=2
 *             ^
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { WordError } from "../argv.ts";
import { caretLines } from "../caret.ts";

/** What is kept. */
const MOST_ENTRIES = 64;

/** Something that was written, and where in it the fault is. */
export interface Fault {
  /** The line at fault. */
  readonly line: string;
  /** In UTF-16 units. */
  readonly column: number;
}

interface Refusal {
  readonly path: string;
  readonly text: string;
}

/** Keeps what was refused lately. */
export class ErrorLog {
  readonly #refusals: Refusal[] = [];

  /**
   * Adds something.
   *
   * @param path The file, from the root on
   * @param error What went wrong
   * @param fault Where in what was written
   */
  add(path: string, error: Error, fault?: Fault): void {
    const hint = error instanceof HvshError && error.hint !== undefined ? ` (${error.hint})` : "";
    const lines = [`${error.message.trimEnd()}${hint}`];
    if (fault !== undefined) {
      const { line, column } = fault;
      lines.push(caretLines("", new WordError("", [line], 0, column)));
    }
    this.#refusals.push({ path, text: lines.join("\n") });
    if (this.#refusals.length > MOST_ENTRIES) this.#refusals.shift();
  }

  /**
   * What was refused below a folder.
   *
   * @param folder The folder's path with a slash at its end; nothing for the root
   * @returns Text, the latest last, with paths from that folder on
   */
  below(folder = ""): string {
    return this.#refusals
      .filter(({ path }) => path.startsWith(folder))
      .map(({ path, text }) => `${path.slice(folder.length)}: ${text}\n`)
      .join("");
  }
}

/**
 * Where a line is at fault, by the first of its words that a message speaks of.
 *
 * @param line The line
 * @param message What is wrong with it
 * @returns Where; at its first word if the message speaks of none
 */
export function faultOf(line: string, message: string): Fault {
  const words = [...line.matchAll(/[^\s=]+/g)];
  const spoken = new Set(message.split(/[^\w.-]+/).flatMap((word) => [word, trimDots(word)]));
  const found = words.find(([word]) => spoken.has(word)) ?? words[0];
  return { line, column: found?.index ?? 0 };
}

function trimDots(word: string): string {
  return word.replace(/[.]+$/, "");
}
