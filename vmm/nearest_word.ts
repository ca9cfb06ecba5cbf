/**
 * "Did you mean …": the known word that is nearest to one that is not known.
 *
 * @module
 */

/** Longer words are no slips of a finger. */
const MAX_LENGTH = 64;

/**
 * How many slips lie between two words: a character missing, added, wrong, or two neighbours in
 * the wrong order (Damerau-Levenshtein, optimal string alignment).
 *
 * @param a One word
 * @param b Another
 * @returns 0 for equal words
 */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, before[j - 2]! + 1);
      }
      row.push(least);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}

/**
 * Finds the known word that somebody may have meant.
 *
 * @param word What was written
 * @param known The words that exist
 * @returns The nearest of them, if it is near: one slip, or one for each three characters
 * @example
 * ```ts
 * import { nearestWord } from "./nearest_word.ts";
 *
 * console.log(nearestWord("serail", ["serial", "rtc"])); // serial
 * ```
 */
export function nearestWord(word: string, known: Iterable<string>): string | undefined {
  if (word.length > MAX_LENGTH) return undefined;
  const written = word.toLowerCase();
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  let nearest: string | undefined;
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) >= least) continue;
    const distance = editDistance(written, candidate.toLowerCase());
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}
