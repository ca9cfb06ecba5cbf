/**
 * What is being typed where the cursor stands: the word so far, and what is before it.
 *
 * @module
 */
import { Lexer, type Token, type WordToken } from "./lexer.ts";
import { ShellSyntaxError } from "./syntax_error.ts";

/** How the word so far is quoted at its end. */
export type Quoting = "" | "'" | '"';

/** The place that a completion is for. */
export interface CompletionPoint {
  /** The word as it is written so far, quotes and all; empty behind a blank. */
  readonly raw: string;
  /** The same word as a command would get it. */
  readonly word: string;
  /** The quotes that are open at its end. */
  readonly quoting: Quoting;
  /** Written with `^`, so a program of the host. */
  readonly host: boolean;
  /** The name of the variable that the word ends in, if it ends in one. */
  readonly variable: string | undefined;
  /** The whole words of this command before it. */
  readonly before: readonly string[];
  /** It is the name of a file behind `>`, `>>` or `<`. */
  readonly redirected: boolean;
}

/**
 * Looks at the text before the cursor.
 *
 * @param text The line up to the cursor
 * @param value Gives a variable's value
 * @returns The place; undefined if nothing sensible can be said
 */
export function completionPoint(
  text: string,
  value: (name: string) => string,
): CompletionPoint | undefined {
  for (
    const [closing, quoting] of [["", ""], ["'", "'"], ['"', '"'], ["}", ""], ['}"', '"']] as const
  ) {
    const tokens = tryTokens(text + closing);
    if (tokens === undefined) continue;
    return pointOf(text, tokens, quoting, value);
  }
  return undefined;
}

function tryTokens(text: string): Token[] | undefined {
  const lexer = new Lexer(text);
  const tokens: Token[] = [];
  try {
    for (let token = lexer.next(); token.kind !== "end"; token = lexer.next()) tokens.push(token);
    return tokens;
  } catch (error) {
    if (error instanceof ShellSyntaxError) return undefined;
    throw error;
  }
}

function pointOf(
  text: string,
  tokens: readonly Token[],
  quoting: Quoting,
  value: (name: string) => string,
): CompletionPoint | undefined {
  const last = tokens.at(-1);
  const typing = last?.kind === "word" && last.span.end >= text.length ? last : undefined;
  // A comment is no place to complete in.
  if (typing === undefined && /(^|\s)#[^\n]*$/.test(text)) return undefined;
  const complete = typing === undefined ? tokens : tokens.slice(0, -1);
  const before: string[] = [];
  let redirected = false;
  for (const token of complete) {
    if (token.kind === "word") {
      const assignment = before.length === 0 && /^[A-Za-z_]\w*=/.test(wordOf(token, value));
      if (!redirected && !assignment) before.push(wordOf(token, value));
      redirected = false;
    } else if (token.kind === "operator" && "<>>".includes(token.operator)) redirected = true;
    else before.length = 0;
  }
  const raw = typing === undefined ? "" : text.slice(typing.span.start);
  const host = before.length === 0 && raw.startsWith("^");
  const word = typing === undefined ? "" : wordOf(typing, value);
  return {
    raw,
    word: host ? word.slice(1) : word,
    quoting,
    host,
    variable: quoting === "'" ? undefined : /\$\{?(\w*)$/.exec(raw)?.[1],
    before,
    redirected,
  };
}

function wordOf(word: WordToken, value: (name: string) => string): string {
  return word.parts.map((part) => part.kind === "text" ? part.text : value(part.name)).join("");
}
