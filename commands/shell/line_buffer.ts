/**
 * The text that a person edits, and what the keys do to it: Emacs' bindings, as readline has them. Pure
 * functions; nothing here knows a terminal.
 *
 * @module
 */
import { graphemes } from "../text_width.ts";

/** A text and a place in it. */
export interface Text {
  readonly text: string;
  /** In UTF-16 units, never inside of a character. */
  readonly cursor: number;
}

/** A text while it is edited. */
export interface LineBuffer extends Text {
  /** What ^Y brings back. */
  readonly killed: string;
  /** What ^_ goes back to, the newest last. */
  readonly before: readonly Text[];
  /** What the last key did: kills add up, and so does what is typed for ^_. */
  readonly last: "typed" | "killed" | "other";
}

/** Steps back that are kept. */
const MOST_UNDO = 200;
const WORD = /[\p{L}\p{N}\p{M}_]/u;

/** An empty one. */
export const EMPTY: LineBuffer = { text: "", cursor: 0, killed: "", before: [], last: "other" };

/**
 * Puts a text in place of what there is, with the cursor at its end.
 *
 * @param buffer The buffer
 * @param text The text
 */
export function replaced(buffer: LineBuffer, text: string): LineBuffer {
  return changed(buffer, { text, cursor: text.length }, "other");
}

/**
 * Puts text in at the cursor.
 *
 * @param buffer The buffer
 * @param text The text
 */
export function inserted(buffer: LineBuffer, text: string): LineBuffer {
  const { text: old, cursor } = buffer;
  return changed(buffer, {
    text: old.slice(0, cursor) + text + old.slice(cursor),
    cursor: cursor + text.length,
  }, "typed");
}

/**
 * Does what a key does.
 *
 * @param buffer The buffer
 * @param name The key's name
 * @returns The buffer after it; undefined if the key is none that edits
 */
export function edited(buffer: LineBuffer, name: string): LineBuffer | undefined {
  return Object.hasOwn(EDITS, name) ? EDITS[name]!(buffer) : undefined;
}

type Edit = (buffer: LineBuffer) => LineBuffer;

const toLeft: Edit = (b) => moved(b, left(b.text, b.cursor));
const toRight: Edit = (b) => moved(b, right(b.text, b.cursor));
const toLineStart: Edit = (b) => moved(b, lineStart(b.text, b.cursor));
const toLineEnd: Edit = (b) => moved(b, lineEnd(b.text, b.cursor));
const toWordStart: Edit = (b) => moved(b, wordStart(b.text, b.cursor));
const toWordEnd: Edit = (b) => moved(b, wordEnd(b.text, b.cursor));
const deleteLeft: Edit = (b) => cut(b, left(b.text, b.cursor), b.cursor);
const deleteRight: Edit = (b) => cut(b, b.cursor, right(b.text, b.cursor));
const killWord: Edit = (b) => killed(b, b.cursor, wordEnd(b.text, b.cursor));
const killWordBack: Edit = (b) => killed(b, wordStart(b.text, b.cursor), b.cursor);

/** Emacs' keys, and those that keyboards have beside them. */
const EDITS: Readonly<Record<string, Edit>> = {
  "C-a": toLineStart,
  Home: toLineStart,
  "C-e": toLineEnd,
  End: toLineEnd,
  "C-b": toLeft,
  Left: toLeft,
  "C-f": toRight,
  Right: toRight,
  "M-b": toWordStart,
  "C-Left": toWordStart,
  "M-Left": toWordStart,
  "M-f": toWordEnd,
  "C-Right": toWordEnd,
  "M-Right": toWordEnd,
  "M-<": (b) => moved(b, 0),
  "M->": (b) => moved(b, b.text.length),
  "C-d": deleteRight,
  Delete: deleteRight,
  Backspace: deleteLeft,
  "C-k": killLine,
  "C-u": (b) => killed(b, lineStart(b.text, b.cursor), b.cursor),
  "C-w": (b) => killed(b, blankStart(b.text, b.cursor), b.cursor),
  "M-d": killWord,
  "C-Delete": killWord,
  "M-Backspace": killWordBack,
  "C-y": (b) => b.killed === "" ? b : { ...inserted(b, b.killed), last: "other" },
  "C-t": transposed,
  "C-_": undone,
  "M-Enter": (b) => inserted(b, "\n"),
};

/** At the end of a line the newline goes. */
function killLine(buffer: LineBuffer): LineBuffer {
  const { text, cursor } = buffer;
  const end = lineEnd(text, cursor);
  return killed(buffer, cursor, end === cursor ? right(text, cursor) : end);
}

/** The two characters around the cursor; at the end of a line the two before it. */
function transposed(buffer: LineBuffer): LineBuffer {
  const { text, cursor } = buffer;
  const atEnd = cursor === lineEnd(text, cursor);
  const middle = atEnd ? left(text, cursor) : cursor;
  const start = left(text, middle);
  const end = right(text, middle);
  if (lineStart(text, cursor) > start || start === middle || middle === end) return buffer;
  const swapped = text.slice(middle, end) + text.slice(start, middle);
  return changed(
    buffer,
    { text: text.slice(0, start) + swapped + text.slice(end), cursor: end },
    "other",
  );
}

function undone(buffer: LineBuffer): LineBuffer {
  const back = buffer.before.at(-1);
  if (back === undefined) return buffer;
  return { ...buffer, ...back, before: buffer.before.slice(0, -1), last: "other" };
}

/** Takes text away and keeps it for ^Y, together with what was killed just before. */
function killed(buffer: LineBuffer, start: number, end: number): LineBuffer {
  if (start === end) return buffer;
  const piece = buffer.text.slice(start, end);
  const going = buffer.last === "killed" ? buffer.killed : "";
  const forward = start === buffer.cursor;
  return {
    ...cut(buffer, start, end),
    killed: forward ? going + piece : piece + going,
    last: "killed",
  };
}

function cut(buffer: LineBuffer, start: number, end: number): LineBuffer {
  if (start === end) return buffer;
  const text = buffer.text.slice(0, start) + buffer.text.slice(end);
  return changed(buffer, { text, cursor: start }, "other");
}

function moved(buffer: LineBuffer, cursor: number): LineBuffer {
  return { ...buffer, cursor, last: "other" };
}

function changed(buffer: LineBuffer, to: Text, last: LineBuffer["last"]): LineBuffer {
  const { text, cursor, before } = buffer;
  const goesOn = last === "typed" && buffer.last === "typed";
  return {
    ...buffer,
    ...to,
    before: goesOn ? before : [...before.slice(-MOST_UNDO), { text, cursor }],
    last,
  };
}

/**
 * Where the line starts that a place is in.
 *
 * @param text A text of one line or several
 * @param at The place
 */
export function lineStart(text: string, at: number): number {
  return at === 0 ? 0 : text.lastIndexOf("\n", at - 1) + 1;
}

/**
 * Where it ends, without its newline.
 *
 * @param text A text of one line or several
 * @param at The place
 */
export function lineEnd(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end;
}

function left(text: string, at: number): number {
  const start = lineStart(text, at);
  if (start === at) return Math.max(0, at - 1);
  return at - graphemes(text.slice(start, at)).at(-1)!.length;
}

function right(text: string, at: number): number {
  const end = lineEnd(text, at);
  if (end === at) return Math.min(text.length, at + 1);
  return at + graphemes(text.slice(at, end))[0]!.length;
}

function wordStart(text: string, at: number): number {
  return backTo(text, backTo(text, at, (c) => !WORD.test(c)), (c) => WORD.test(c));
}

function wordEnd(text: string, at: number): number {
  return onTo(text, onTo(text, at, (c) => !WORD.test(c)), (c) => WORD.test(c));
}

/** ^W takes all up to a blank, such as a whole path. */
function blankStart(text: string, at: number): number {
  return backTo(text, backTo(text, at, (c) => /\s/.test(c)), (c) => !/\s/.test(c));
}

function backTo(text: string, at: number, passes: (character: string) => boolean): number {
  while (at > 0) {
    const character = [...text.slice(Math.max(0, at - 2), at)].at(-1)!;
    if (!passes(character)) break;
    at -= character.length;
  }
  return at;
}

function onTo(text: string, at: number, passes: (character: string) => boolean): number {
  while (at < text.length) {
    const character = String.fromCodePoint(text.codePointAt(at)!);
    if (!passes(character)) break;
    at += character.length;
  }
  return at;
}
