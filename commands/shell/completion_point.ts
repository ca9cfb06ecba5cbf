/**
 * What is being typed where the cursor stands: the word so far, and what is before it.
 *
 * @module
 */
import { Lexer, type Token, type WordToken } from "./lexer.ts";
import { readScript } from "./parser.ts";
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

/** Words of the grammar behind which a command begins (POSIX.1-2017 XCU 2.4). */
const BEFORE_COMMAND: ReadonlySet<string> = new Set([
  ...["if", "then", "elif", "else", "while", "until", "do", "!", "{"],
]);

const REDIRECTIONS: ReadonlySet<string> = new Set([
  ...["<", ">", ">|", ">>", "<>", "<&", ">&", "<<", "<<-"],
]);

/**
 * Looks at the text before the cursor.
 *
 * @param whole The line up to the cursor
 * @param value Gives a variable's value
 * @returns The place; undefined if nothing sensible can be said
 */
export function completionPoint(
  whole: string,
  value: (name: string) => string,
): CompletionPoint | undefined {
  const text = whole.slice(innermost(whole));
  for (
    const [closing, quoting] of [["", ""], ["'", "'"], ['"', '"'], ["}", ""], ['}"', '"']] as const
  ) {
    const tokens = tryTokens(text + closing);
    if (tokens === undefined) continue;
    return pointOf(text, tokens, quoting, value);
  }
  return undefined;
}

/** Where the text begins that is inside of the last `$(` that is not closed; 0 if there is none. */
function innermost(text: string): number {
  /** What is open: double quotes, or a substitution that begins at a place. */
  const open: ('"' | number)[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    const quoted = open.at(-1) === '"';
    if (character === "\\") at++;
    else if (character === '"') quoted ? open.pop() : open.push('"');
    else if (text.startsWith("$(", at)) open.push(++at + 1);
    else if (quoted) continue;
    else if (character === ")") open.pop();
    else if (character === "'") {
      const end = text.indexOf("'", at + 1);
      if (end < 0) break;
      at = end;
    }
  }
  return open.findLast((what) => typeof what === "number") ?? 0;
}

function isKeyword({ parts: [only, ...more] }: WordToken): boolean {
  return more.length === 0 && only?.kind === "text" && !only.quoted &&
    BEFORE_COMMAND.has(only.text);
}

function tryTokens(text: string): Token[] | undefined {
  const lexer = new Lexer(text, readScript);
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
      if (before.length === 0 && !redirected && isKeyword(token)) continue;
      const assignment = before.length === 0 && /^[A-Za-z_]\w*=/.test(wordOf(token, value));
      if (!redirected && !assignment) before.push(wordOf(token, value));
      redirected = false;
    } else if (token.kind === "operator" && REDIRECTIONS.has(token.operator)) redirected = true;
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
  return word.parts.map((part) => {
    if (part.kind === "text") return part.text;
    return part.kind === "variable" ? value(part.name) : ""; // what commands print is not known yet
  }).join("");
}
