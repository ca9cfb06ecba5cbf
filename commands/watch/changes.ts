/**
 * What is different in a text that is shown again and again.
 *
 * @module
 */
import { MARK } from "./full_screen.ts";

/** Words, and what is between them. */
const WORDS = /(\S+)/;

/**
 * Marks the words that have changed.
 *
 * @param before The text as it was shown last; undefined if it was not
 * @param after The text now
 * @returns The same with {@linkcode MARK}s
 */
export function markChanges(before: string | undefined, after: string): string {
  if (before === undefined || before === after) return after;
  const lines = before.split("\n");
  const pairs = pairLines(lines, after.split("\n"));
  return pairs.map(([line, was]) => was === undefined ? markAll(line) : markWords(was, line))
    .join("\n");
}

/**
 * For each line the one that it was before: the only one that begins with the same word, else one that differs
 * in numbers only. A VM that comes or goes moves the lines of others.
 */
function pairLines(
  before: readonly string[],
  after: readonly string[],
): (readonly [line: string, was: string | undefined])[] {
  const bySkeleton = Map.groupBy(before, skeleton);
  const byFirstWord = Map.groupBy(before, firstWord);
  return after.map((line) => {
    const named = byFirstWord.get(firstWord(line)) ?? [];
    return [line, named.length === 1 ? named[0] : bySkeleton.get(skeleton(line))?.shift()];
  });
}

/** A line without what counts. */
function skeleton(line: string): string {
  return line.replace(/\S*\d\S*/g, "#").replace(/\s+/g, " ");
}

function firstWord(line: string): string {
  return /\S+/.exec(line)?.[0] ?? "";
}

function markWords(before: string, after: string): string {
  const words = before.split(WORDS);
  // Between two words there is one part that is none.
  return after.split(WORDS).map((part, i) => i % 2 === 0 || part === words[i] ? part : mark(part))
    .join("");
}

function markAll(line: string): string {
  return line.split(WORDS).map((part, i) => i % 2 === 0 ? part : mark(part)).join("");
}

function mark(word: string): string {
  return MARK.begin + word + MARK.end;
}
