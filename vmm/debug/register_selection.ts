/**
 * Registers chosen by words: names, or groups of them.
 *
 * @module
 */
import { type RegisterFiles, type RegisterGroup, registerGroups } from "./register_files.ts";

/** What is shown to one who names none. */
const USUAL: readonly RegisterGroup[] = ["general", "segment", "control"];

/**
 * The names behind words.
 *
 * @param files The vCPU's registers
 * @param words Names, groups, or `all`; the usual groups if there are none
 * @returns Names, each once
 */
export function selectRegisters(
  files: Pick<RegisterFiles, "names">,
  words: readonly string[],
): string[] {
  const chosen = words.length === 0 ? USUAL : words;
  const names = chosen.flatMap((word) => {
    if (word === "all") return registerGroups.flatMap((group) => files.names(group));
    return isGroup(word) ? files.names(word) : [word];
  });
  return [...new Set(names)];
}

/**
 * Whether a word is a group of registers.
 *
 * @param word The word
 */
export function isGroup(word: string): word is RegisterGroup {
  return (registerGroups as readonly string[]).includes(word);
}
