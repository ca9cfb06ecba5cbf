/**
 * JSON that comes in pieces: whether what has come may still become it.
 *
 * @module
 */

/** The beginning of a string, a number or a word. */
const BEGUN =
  /^(?:"(?:[^"\\\p{Cc}]|\\.|[\x7f-\x9f])*\\?|-?[\d.]*(?:[eE][+-]?\d*)?|t(?:ru?)?|f(?:a(?:ls?)?)?|n(?:ul?)?)$/su;

/**
 * Whether only the end is missing.
 *
 * @param text What is no JSON
 * @param offset Where that shows
 */
export function isBeginning(text: string, offset: number): boolean {
  return BEGUN.test(text.slice(offset));
}
