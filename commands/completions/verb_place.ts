/**
 * Where in a verb's line a word stands, and so what it may be. Pure, from the verb's row of the table.
 *
 * @module
 */
import { isVmKind } from "../live_kinds.ts";
import type { Argument, Flag, ValueKind, Verb } from "../verb.ts";
import type { Candidate } from "./candidate.ts";

/** A place in a verb's line. */
export interface VerbPlace {
  /** What stands there; undefined if nothing may. */
  readonly kind: ValueKind | undefined;
  /** A flag's `--name=` that the word begins with; empty if it does not. */
  readonly prefix: string;
  /** A flag may stand there too. */
  readonly flags: boolean;
  /** The VM that the line names before. */
  readonly vm: string | undefined;
  /** The arguments before, without that VM. */
  readonly before: readonly string[];
  /** The words behind the VM, where they are another verb's line. */
  readonly line: readonly string[] | undefined;
}

type Table = Pick<Verb, "flags" | "arguments" | "rest">;

/**
 * Finds out what a word may be.
 *
 * @param verb The verb
 * @param words The words before it, behind the verb's own
 * @param word Its start
 * @returns The place
 */
export function verbPlace(verb: Table, words: readonly string[], word: string): VerbPlace {
  const { positions, waiting, raw, rest } = scan(verb, words);
  const named = positions.findIndex((_, i) => isVmKind(kindAt(verb, i)));
  const vm = named < 0 ? undefined : positions[named];
  const place = {
    prefix: "",
    flags: false,
    vm,
    before: positions.filter((_, i) => i !== named),
    line: raw === undefined ? undefined : words.slice(raw),
  };
  if (rest) return { ...place, kind: verb.rest === undefined ? undefined : "path" };
  if (waiting !== undefined) return { ...place, kind: waiting.value };
  const [, prefix, name] = raw === undefined ? /^(--([^=]+)=)/.exec(word) ?? [] : [];
  if (prefix !== undefined) return { ...place, prefix, kind: verb.flags[name!]?.value };
  // `--set rip=1 rflags=2`: what a flag takes goes on in the words behind it.
  const settings = words.includes("--set") && vm !== undefined;
  const kind = kindAt(verb, positions.length);
  return {
    ...place,
    kind: kind === "register-group" && settings ? "register-setting" : kind,
    flags: raw === undefined,
  };
}

/**
 * The flags that may still be given.
 *
 * @param verb The verb
 * @param words The words before
 */
export function flagsLeft(verb: Table, words: readonly string[]): Candidate[] {
  const given = new Set(words.map((word) => word.split("=")[0]));
  const left = Object.entries(verb.flags).filter(([name, { short, repeat }]) =>
    repeat === true || !(given.has(`--${name}`) || given.has(`-${short}`))
  );
  return [...left.map(flagCandidate), { word: "--help", help: "What the verb does" }];
}

function flagCandidate([name, { value, metavar = "VALUE", help }]: [string, Flag]): Candidate {
  const word = `--${name}`;
  return { word, help, ...(value === undefined ? {} : { label: `${word} ${metavar}` }) };
}

interface Scan {
  readonly positions: string[];
  /** The flag before the word, which takes a value. */
  readonly waiting: Flag | undefined;
  /** Where the words begin that are taken as they are. */
  readonly raw: number | undefined;
  /** `--` was there. */
  readonly rest: boolean;
}

function scan(verb: Table, words: readonly string[]): Scan {
  const last = verb.arguments.at(-1);
  const rawFrom = last?.raw === true ? verb.arguments.length - 1 : Infinity;
  const positions: string[] = [];
  let waiting: Flag | undefined;
  for (const [i, word] of words.entries()) {
    if (waiting !== undefined) {
      waiting = undefined;
      continue;
    }
    if (positions.length >= rawFrom) return { positions, waiting, raw: i, rest: false };
    if (word === "--") return { positions, waiting, raw: undefined, rest: true };
    const flag = word.startsWith("--")
      ? verb.flags[word.slice(2)]
      : /^-./.test(word)
      ? shortFlag(verb, word)
      : undefined;
    if (!/^-./.test(word)) positions.push(word);
    waiting = flag?.value === undefined ? undefined : flag;
  }
  const raw = positions.length >= rawFrom ? words.length : undefined;
  return { positions, waiting, raw, rest: false };
}

/** The flag of `-m`, or of the last letter of `-dm`, if its value is not in the same word. */
function shortFlag(verb: Table, word: string): Flag | undefined {
  for (const letter of word.slice(1)) {
    const flag = Object.values(verb.flags).find(({ short }) => short === letter);
    if (flag?.value !== undefined) return word.endsWith(letter) ? flag : undefined;
  }
  return undefined;
}

function kindAt(verb: Table, at: number): ValueKind | undefined {
  const argument = verb.arguments[at] ?? repeated(verb.arguments);
  if (argument === undefined) return undefined;
  const first = verb.arguments[at] === argument;
  return first ? argument.value : argument.behind ?? argument.value;
}

function repeated(given: readonly Argument[]): Argument | undefined {
  const last = given.at(-1);
  return last?.repeat === true ? last : undefined;
}
