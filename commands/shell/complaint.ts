/**
 * How the shell says what went wrong: the message, the line with a caret under the word at fault,
 * and the next step.
 *
 * @module
 */
import { hintLine } from "../hint_line.ts";
import { HvshError } from "../../ffi/errors.ts";
import { graphemes, textWidth } from "../text_width.ts";
import { locate, type Span } from "./syntax_error.ts";

const WIDTH = 80;
const INDENT = "  ";
/** Where the words that failed came from. */
export interface Origin {
  /** The text that was parsed. */
  readonly source: string;
  /** The file that it is from. */
  readonly name?: string;
  /** The number of its first line; left out on a terminal, where the line is in sight. */
  readonly line?: number;
  /** Where in it the command began, for what is no single word's fault. */
  readonly at?: number;
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
  if (hint !== undefined) lines.push(hintLine(hint));
  return lines.join("\n");
}

function prefix(origin: Origin, span: Span | undefined, name: string | undefined): string {
  const line = origin.line === undefined
    ? ""
    : `line ${origin.line - 1 + locate(origin.source, span?.start ?? origin.at ?? 0).line}: `;
  const file = origin.name === undefined ? "" : `${origin.name}: `;
  return `hvsh: ${file}${line}${name === undefined ? "" : `${name}: `}`;
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
  let before = graphemes(printable(source.slice(lineStart, Math.min(span.start, lineEnd))));
  let behind = graphemes(printable(source.slice(span.start, lineEnd)));
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
  return textWidth(characters.join(""));
}
