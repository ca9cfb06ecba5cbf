/**
 * `FILE@ADDRESS`, the way words say where something lies in guest memory.
 *
 * @module
 */
import { UsageError } from "../ffi/errors.ts";
import { parseAddress } from "../vmm/size.ts";

/** A word and the address behind it. */
export interface Placed {
  /** What is before the `@`. */
  readonly what: string;
  /** The guest-physical address, if there is one. */
  readonly base: number | undefined;
}

/**
 * Parts `FILE@ADDRESS`. Only a digit behind the last `@` starts an address, so `me@home.bin` is a
 * file, and so is `./a@1@0x1000` at 0x1000.
 *
 * @param word The word
 * @returns Its two halves
 * @throws {UsageError} If what looks like an address is none
 */
export function parsePlaced(word: string): Placed {
  const match = /^(.*)@(\d[^/@]*)$/s.exec(word);
  if (match === null) return { what: nonEmpty(word, word), base: undefined };
  try {
    return { what: nonEmpty(match[1]!, word), base: parseAddress(match[2]!) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`${word}: ${error.message}`, { cause: error });
  }
}

function nonEmpty(what: string, word: string): string {
  if (what !== "") return what;
  throw new UsageError(`"${word}" names no file`);
}
