/**
 * Text for a place on a terminal: as much of it as fits, and nothing that steers the terminal.
 *
 * @module
 */
import { graphemes, textWidth } from "./text_width.ts";

const ELLIPSIS = "…";

/**
 * Cuts text that is too wide, between characters as a reader sees them.
 *
 * @param text The text, without control characters
 * @param width The most columns
 * @returns At most so many columns, with `…` at the end if something is gone
 */
export function cutText(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  if (width <= 0) return "";
  let cut = "";
  let columns = 1; // the ellipsis
  for (const character of graphemes(text)) {
    columns += textWidth(character);
    if (columns > width) break;
    cut += character;
  }
  return cut + ELLIPSIS;
}

/**
 * Text that neither breaks its line nor steers a terminal: control characters, other line ends and what
 * turns the direction of writing are shown as `?`.
 *
 * @param text Somebody's text
 */
export function plainText(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_C}]/gu, "?").toWellFormed();
}
