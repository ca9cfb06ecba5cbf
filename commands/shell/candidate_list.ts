/**
 * What Tab may make of a word, as lines below it. Pure functions to text.
 *
 * @module
 */
import type { Candidate } from "../completions/candidate.ts";
import { cutText, plainText } from "../text_cut.ts";
import { graphemes, textWidth } from "../text_width.ts";
import type { Size } from "./line_screen.ts";

const GAP = 2;
const MOST_LABEL = 28;

/**
 * Lists candidates: below one another with their help, or side by side where there is none, or no room.
 *
 * @param candidates What there is
 * @param size The terminal's; the list leaves the prompt its place
 * @returns Lines without line ends, none wider than the terminal
 */
export function candidateLines(candidates: readonly Candidate[], size: Size): string[] {
  const room = Math.max(1, size.rows - 2);
  const helped = candidates.length <= room && candidates.some(({ help }) => help !== undefined);
  const lines = helped
    ? withHelp(candidates, size.columns)
    : inColumns(candidates.map(label), size.columns);
  if (lines.length <= room) return lines;
  const kept = lines.slice(0, room - 1);
  return [...kept, cutText(`… ${lines.length - kept.length} more lines`, size.columns)];
}

function withHelp(candidates: readonly Candidate[], columns: number): string[] {
  const widest = Math.max(...candidates.map((candidate) => textWidth(label(candidate))));
  const width = Math.min(widest, MOST_LABEL);
  return candidates.map((candidate) => {
    const start = padded(label(candidate), width);
    return cutText(
      `${start}${" ".repeat(GAP)}${plainText(candidate.help ?? "")}`.trimEnd(),
      columns,
    );
  });
}

/** Down the columns first, as `ls` has it. */
function inColumns(labels: readonly string[], columns: number): string[] {
  const width = Math.max(...labels.map(textWidth)) + GAP;
  const across = Math.max(1, Math.floor((columns + GAP) / width));
  const down = Math.ceil(labels.length / across);
  return Array.from({ length: down }, (_, row) => {
    const cells = labels.filter((_, i) => i % down === row);
    return cutText(cells.map((cell) => padded(cell, width)).join("").trimEnd(), columns);
  });
}

function label({ word, label }: Candidate): string {
  return plainText(label ?? word);
}

function padded(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - textWidth(text)));
}

/**
 * What several words have in common at their start.
 *
 * @param words The words
 * @returns Whole characters
 */
export function commonStart(words: readonly string[]): string {
  const [first = [], ...others] = words.map(graphemes);
  const end = first.findIndex((character, i) => others.some((other) => other[i] !== character));
  return (end < 0 ? first : first.slice(0, end)).join("");
}
