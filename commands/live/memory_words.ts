/**
 * The words of `hvsh mem`: the VM's name may be left out where handles are on stdin, and so may others.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { numericAddress } from "./live_inside.ts";
import { findVms } from "./run_directory.ts";

/** What is done to memory. */
export const MEMORY_ACTIONS = ["read", "write", "search", "map"] as const;

/** One of these. */
export type MemoryAction = typeof MEMORY_ACTIONS[number];

/** How many words an action has besides the VM's name. */
const WORDS: Readonly<Record<MemoryAction, readonly [least: number, most: number, usage: string]>> =
  {
    read: [2, 2, "mem read [NAME] ADDR LENGTH"],
    write: [1, 2, "mem write [NAME] ADDR [FILE]"],
    search: [1, 1, "mem search [NAME] PATTERN"],
    map: [0, 0, "mem map [NAME]"],
  };

/**
 * Takes the VM's name off, if the words have one.
 *
 * @param action What is done
 * @param words The words behind it
 * @returns The name, if there is one, and the others
 * @throws {UsageError} If they are too many, or too few
 */
export function memoryWords(
  action: MemoryAction,
  words: readonly string[],
): { names: string[]; rest: string[] } {
  const [least, most, usage] = WORDS[action];
  const named = action === "write" && words.length === 2
    ? namesForBytes(words)
    : words.length > (action === "write" ? 2 : most);
  const names = words.slice(0, named ? 1 : 0);
  const rest = words.slice(names.length);
  // A symbol may have a VM's name; but what is meant where a word is missing is the VM.
  const nameless = !named && (action === "read" || rest.length === 1 && action === "write");
  const lacking = nameless && rest.length > 0 && numericAddress(rest[0]!) === undefined &&
    isLive(rest[0]!);
  if (lacking || rest.length < least || rest.length > most) {
    throw new UsageError(`It is: hvsh ${usage}`, { hint: "hvsh mem --help" });
  }
  return { names, rest };
}

/**
 * Whether two words of `write` are NAME ADDR, with bytes on stdin, and not ADDR FILE, with handles there: a
 * number is an address unless it is the name of a live VM.
 */
function namesForBytes([first, second]: readonly string[]): boolean {
  if (numericAddress(first!) === undefined) return true;
  return numericAddress(second!) !== undefined && isLive(first!);
}

function isLive(word: string): boolean {
  return findVms().some(({ name }) => name === word);
}
