/**
 * Words with quotes, as they stand in one argument that is several: sh's quoting, and nothing else of it.
 *
 * @module
 */
import { UsageError } from "../ffi/errors.ts";

const BLANK = /\s/;
/** What a backslash takes its meaning from within double quotes (POSIX.1-2024, XCU 2.2.3). */
const IN_DOUBLE = /["\\$`]/;

/** A word, and where the text goes on behind it. */
export interface QuotedWord {
  readonly word: string;
  readonly end: number;
}

/**
 * Parts a text into its words.
 *
 * @param text `'My Docs':docs --writable`
 * @returns `["My Docs:docs", "--writable"]`
 * @throws {UsageError} If a quote has no end
 * @example
 * ```ts
 * import { quotedWords } from "./quoted_words.ts";
 *
 * console.log(quotedWords(`'a b' --tag "c"`)); // [ "a b", "--tag", "c" ]
 * ```
 */
export function quotedWords(text: string): string[] {
  const words: string[] = [];
  for (let at = 0;;) {
    const next = quotedWord(text, at);
    if (next === undefined) return words;
    words.push(next.word);
    at = next.end;
  }
}

/**
 * Reads the first word.
 *
 * @param text The text
 * @param at Where to begin
 * @returns Undefined if there are only blanks
 * @throws {UsageError} If a quote has no end
 */
export function quotedWord(text: string, at = 0): QuotedWord | undefined {
  while (at < text.length && BLANK.test(text[at]!)) at++;
  if (at === text.length) return undefined;
  let word = "";
  while (at < text.length && !BLANK.test(text[at]!)) {
    const character = text[at]!;
    if (character === "'" || character === '"') {
      const quoted = inQuotes(text, at);
      word += quoted.word;
      at = quoted.end;
    } else if (character === "\\" && at + 1 < text.length) {
      word += text[at + 1];
      at += 2;
    } else {
      word += character;
      at++;
    }
  }
  return { word, end: at };
}

function inQuotes(text: string, start: number): QuotedWord {
  const quote = text[start]!;
  let word = "";
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at]!;
    if (character === quote) return { word, end: at + 1 };
    const escapes = quote === '"' && character === "\\" && IN_DOUBLE.test(text[at + 1] ?? "");
    if (escapes) at++;
    word += text[at];
  }
  throw new UsageError(`The quote in ${text.slice(start)} has no end`, {
    hint: "two quotes around what belongs together, as in sh",
  });
}
