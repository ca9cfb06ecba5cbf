/**
 * The VM in use: live verbs are about it where no other is named and no handles come on stdin.
 *
 * @module
 */
import type { Verb } from "../verb.ts";
import type { Session } from "./session.ts";

/**
 * Puts the VM in use among a verb's words, if one of them is missing.
 *
 * @param verb The verb
 * @param words Its words
 * @param session The shell
 * @returns The words, with its name where the verb has it
 */
export async function withVmInUse(
  verb: Verb,
  words: readonly string[],
  session: Session,
): Promise<readonly string[]> {
  const { current } = session;
  const place = vmPlace(verb);
  if (current === undefined || place === undefined) return words;
  const { positions, end } = positionsOf(verb, words);
  const at = positions[place];
  if (at === undefined) {
    if (positions.length < place) return words; // what stands before it is missing as well
    return [...words.slice(0, end), current, ...words.slice(end)];
  }
  if (takesOnlyVms(verb, place) || await namesVm(words[at]!, session)) return words;
  return [...words.slice(0, at), current, ...words.slice(at)];
}

/** Which of its arguments names VMs. */
function vmPlace(verb: Verb): number | undefined {
  const vm = verb.arguments.findIndex(({ value }) => /^([a-z]+-)?vm$/.test(String(value)));
  if (vm >= 0) {
    // A list of all VMs is of use to somebody who looks at one.
    return verb.reads === "nothing" && verb.arguments[vm]!.optional === true ? undefined : vm;
  }
  if (verb.reads !== "handles") return undefined;
  const words = verb.arguments.findIndex(({ repeat }) => repeat === true);
  return words < 0 ? undefined : words;
}

function takesOnlyVms(verb: Verb, place: number): boolean {
  const argument = verb.arguments[place]!;
  return argument.repeat === true && argument.optional === true && argument.name === "NAME";
}

async function namesVm(word: string, session: Session): Promise<boolean> {
  return word === "-" || /[*?[]/.test(word) || (await session.verbs.vms()).includes(word);
}

/** Where the arguments are among the words, and where they end. */
function positionsOf(
  verb: Verb,
  words: readonly string[],
): { readonly positions: readonly number[]; readonly end: number } {
  const positions: number[] = [];
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at]!;
    if (word === "--") break;
    if (word.startsWith("--")) {
      if (!word.includes("=") && verb.flags[word.slice(2)]?.value !== undefined) at++;
    } else if (/^-[A-Za-z0-9]/.test(word)) {
      if (valueFollows(verb, word)) at++;
    } else positions.push(at);
  }
  return { positions, end: Math.min(at, words.length) };
}

/** Whether the value of `-m`, or of the last letter of `-dm`, is the next word. */
function valueFollows(verb: Verb, word: string): boolean {
  for (const [i, letter] of [...word.slice(1)].entries()) {
    const flag = Object.values(verb.flags).find(({ short }) => short === letter);
    if (flag?.value !== undefined) return i === word.length - 2;
  }
  return false;
}
