/** Words for a POSIX shell. */

/**
 * Quotes a word so that a shell reads it as it is.
 *
 * @param word any text without NUL
 * @returns the word in single quotes
 */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
