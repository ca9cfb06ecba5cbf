/**
 * What may stand somewhere in a line.
 *
 * @module
 */

/** A word that may stand there. */
export interface Candidate {
  /** The whole word as a command would get it. */
  readonly word: string;
  /** It goes on, as a folder does: no blank comes behind it. */
  readonly partial?: boolean;
  /** What stands for it in a list; the word if left out. */
  readonly label?: string;
  /** One line on it. */
  readonly help?: string;
}

/**
 * Candidates without more to say.
 *
 * @param words The words
 */
export function plain(words: readonly string[]): Candidate[] {
  return words.map((word) => ({ word }));
}
