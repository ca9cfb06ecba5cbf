/**
 * A line of words with a caret under the one at fault.
 *
 * @module
 */
import type { WordError } from "./argv.ts";

const WIDTH = 80;
const INDENT = "  ";

/**
 * Draws the words of a line and a caret under the place that an error names.
 *
 * @param start What stands before the words, `hvsh flat`
 * @param error The error
 * @returns Two lines, cut to 80 columns around the caret
 */
export function caretLines(start: string, error: WordError): string {
  const before = [start, ...error.words.slice(0, error.index).map(printable)].join(" ") + " ";
  const word = error.words[error.index] ?? "";
  let column = before.length + printable(word.slice(0, error.offset)).length;
  let line = [before + printable(word), ...error.words.slice(error.index + 1).map(printable)]
    .join(" ");
  const room = WIDTH - INDENT.length;
  if (column >= room) {
    const cut = column - Math.floor(room / 2);
    line = "…" + line.slice(cut + 1);
    column -= cut;
  }
  if (line.length > room) line = line.slice(0, room - 1) + "…";
  return `${INDENT}${line}\n${INDENT}${" ".repeat(column)}^`;
}

/** One column for each character: control characters would move what stands behind them. */
function printable(word: string): string {
  return word.replace(/[\p{Cc}\p{Cf}]/gu, "?");
}
