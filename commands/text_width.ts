/**
 * How much room text takes on a terminal.
 *
 * @module
 */
import stringWidth from "fast-string-width";

const PRINTABLE_ASCII = /^[ -~]*$/;
let segmenter: Intl.Segmenter | undefined;

/**
 * Columns that text takes: East Asian wide characters and emoji two (Unicode Standard Annex 11), combining
 * marks none.
 *
 * @param text Text without control characters
 */
export function textWidth(text: string): number {
  return PRINTABLE_ASCII.test(text) ? text.length : stringWidth(text);
}

/**
 * Parts text into what a person takes for one character (Unicode Standard Annex 29).
 *
 * @param text Any text
 * @returns Its grapheme clusters
 */
export function graphemes(text: string): string[] {
  if (PRINTABLE_ASCII.test(text)) return text.split("");
  segmenter ??= new Intl.Segmenter(undefined, { granularity: "grapheme" });
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}
