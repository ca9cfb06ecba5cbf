/**
 * How the shell says what went wrong: the message, the line with a caret under the word at fault,
 * and the next step.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { locate, type Span } from "./syntax_error.ts";

const WIDTH = 80;
const INDENT = "  ";
/** Characters that take two columns on a terminal (Unicode Standard Annex 11, W and F). */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Where the words that failed came from. */
export interface Origin {
  /** The text that was parsed. */
  readonly source: string;
  /** The number of its first line; left out on a terminal, where the line is in sight. */
  readonly line?: number;
}

/**
 * Tells what failed.
 *
 * @param error The error
 * @param origin The text it comes from
 * @param span The word at fault, if it is one
 * @param name What failed, a verb's name
 * @returns The lines to show, without the last newline
 */
export function complaint(error: unknown, origin: Origin, span?: Span, name?: string): string {
  const lines = [`${prefix(origin, span, name)}${messageOf(error)}`];
  if (span !== undefined) lines.push(caretAt(origin.source, span));
  const hint = error instanceof HvshError ? error.hint : undefined;
  if (hint !== undefined) lines.push(hint.includes("try: ") ? `  ${hint}` : `  try: ${hint}`);
  return lines.join("\n");
}

function prefix(origin: Origin, span: Span | undefined, name: string | undefined): string {
  const line = origin.line === undefined
    ? ""
    : `line ${origin.line - 1 + locate(origin.source, span?.start ?? 0).line}: `;
  return `hvsh: ${line}${name === undefined ? "" : `${name}: `}`;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // What the host refused (a full disk, a folder that is a file) has said all in its message; only
  // a mistake of ours needs its stack.
  const foreseen = error instanceof HvshError || "code" in error;
  return foreseen ? error.message : error.stack ?? error.message;
}

/**
 * Draws the line that a span starts in, and a caret under its first character.
 *
 * @param source The whole text
 * @param span The word at fault
 * @returns Two lines, cut to 80 columns around the caret
 */
export function caretAt(source: string, span: Span): string {
  const lineStart = source.lastIndexOf("\n", span.start - 1) + 1;
  const newline = source.indexOf("\n", span.start);
  const lineEnd = newline === -1 ? source.length : newline;
  let before = [...printable(source.slice(lineStart, Math.min(span.start, lineEnd)))];
  let behind = [...printable(source.slice(span.start, lineEnd))];
  const room = WIDTH - INDENT.length;
  if (columns(before) > room / 2 && columns(before) + columns(behind) > room) {
    while (columns(before) >= room / 2) before = before.slice(Math.ceil(before.length / 10));
    before.unshift("…");
  }
  const left = room - columns(before);
  if (columns(behind) > left) behind = [...behind.slice(0, Math.max(0, left - 1)), "…"];
  const caret = " ".repeat(columns(before)) + "^";
  return `${INDENT}${before.join("")}${behind.join("")}\n${INDENT}${caret}`;
}

/** Control characters would move what stands behind them. */
function printable(text: string): string {
  return text.replaceAll("\t", " ").replace(/[\p{Cc}\p{Cf}]/gu, "?");
}

function columns(characters: readonly string[]): number {
  return characters.reduce((sum, character) => sum + (WIDE.test(character) ? 2 : 1), 0);
}
