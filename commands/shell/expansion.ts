/**
 * From a word of the tree to the words that a command is given.
 *
 * @module
 */
import { match } from "ts-pattern";
import type { Part } from "./lexer.ts";
import type { Word } from "./parser.ts";
import type { Session } from "./session.ts";
import type { Span } from "./syntax_error.ts";

/** A word with its variables replaced, and where it was written. */
export interface Expanded {
  readonly text: string;
  readonly span: Span;
}

/**
 * Replaces variables. As in sh (POSIX.1-2017 XCU 2.6.5), the value of one that is not quoted is
 * split at blanks, and a word of which nothing is left is none.
 *
 * @param word The word
 * @param session Where variables have their values
 * @returns No word, one or several
 */
export function expand(word: Word, session: Session): Expanded[] {
  const texts: string[] = [];
  let current: string | undefined;
  for (const part of word.parts) {
    const text = valueOf(part, session);
    if (part.kind === "text" || part.quoted) {
      current = (current ?? "") + text;
      continue;
    }
    const fields = text.split(/[ \t\n]+/);
    fields.forEach((field, i) => {
      if (i > 0 && current !== undefined) {
        texts.push(current);
        current = undefined;
      }
      if (field !== "") current = (current ?? "") + field;
    });
  }
  if (current !== undefined) texts.push(current);
  return texts.map((text) => ({ text, span: word.span }));
}

/**
 * Replaces variables in the value of an assignment or the name of a file, which is never split.
 *
 * @param word The word
 * @param session Where variables have their values
 * @returns The text
 */
export function expandWhole(word: Word, session: Session): string {
  return word.parts.map((part) => valueOf(part, session)).join("");
}

function valueOf(part: Part, session: Session): string {
  return match(part)
    .with({ kind: "text" }, ({ text }) => text)
    .with({ kind: "variable", name: "?" }, () => String(session.status))
    .with({ kind: "variable" }, ({ name }) => session.variables.get(name) ?? "")
    .exhaustive();
}
