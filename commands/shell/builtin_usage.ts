/**
 * How built-ins refuse words.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Refuses words beyond some count.
 *
 * @param count How many there may be
 * @param words The words
 * @param hint How the built-in is called
 * @throws {UsageError} If there are more
 */
export function atMost(count: number, words: readonly string[], hint: string): void {
  if (words.length > count) {
    throw new UsageError(`"${words[count]}" is one word too many`, { hint });
  }
}

/**
 * Reads a number.
 *
 * @param word The word
 * @param hint How the built-in is called
 * @returns The number
 * @throws {UsageError} If it is none
 */
export function number(word: string, hint: string): number {
  if (/^[0-9]{1,9}$/.test(word)) return Number(word);
  throw new UsageError(`"${word}" is no number`, { hint });
}

/**
 * Looks that a word is the name of a variable.
 *
 * @param name The word
 * @returns It
 * @throws {UsageError} If it is none
 */
export function variableName(name: string): string {
  if (NAME.test(name)) return name;
  throw new UsageError(`"${name}" is no name of a variable: letters, digits and _`);
}
