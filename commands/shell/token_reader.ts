/**
 * What the parser does with single tokens.
 *
 * @module
 */
import type { Lexer, Operator, Token, WordToken } from "./lexer.ts";
import { ShellSyntaxError } from "./syntax_error.ts";

/** The words that mean something where a command may begin (XCU 2.4). */
const RESERVED = [
  ...["if", "then", "elif", "else", "fi", "for", "in", "while", "until", "do", "done"] as const,
  ...["case", "esac", "{", "}", "!"] as const,
] as const;
/** A reserved word. */
export type Reserved = typeof RESERVED[number];
/** What bash reserves beside them, and how sh says it. */
const FOREIGN: Readonly<Record<string, string>> = {
  "[[": "[ A = B ], or case WORD in PATTERN) … esac",
  function: "name() { …; }",
  select: "for NAME in …; do …; done",
};

/** Reads tokens with one of lookahead. */
export class TokenReader {
  readonly #lexer: Lexer;
  #token: Token;
  #end = 0;

  /** @param lexer Gives the tokens */
  constructor(lexer: Lexer) {
    this.#lexer = lexer;
    this.#token = lexer.next();
  }

  /** The token that is looked at. */
  get token(): Token {
    return this.#token;
  }

  /** Whether nothing more comes. */
  get atEnd(): boolean {
    return this.#token.kind === "end";
  }

  /** What it is read from. */
  get lexer(): Lexer {
    return this.#lexer;
  }

  /** Where what was taken last ends. */
  get end(): number {
    return this.#end;
  }

  /** Looks at the next. */
  advance(): void {
    this.#end = this.#token.span.end;
    this.#token = this.#lexer.next();
  }

  /** Whether an operator is there. */
  isOperator(operator: Operator): boolean {
    return this.#token.kind === "operator" && this.#token.operator === operator;
  }

  /** The reserved word that is there, where a command may begin. */
  get reserved(): Reserved | undefined {
    const text = plainText(this.#token);
    return text !== undefined && (RESERVED as readonly string[]).includes(text)
      ? text as Reserved
      : undefined;
  }

  /** Whether one of these ends a script in a compound command. */
  atEndOf(ends: readonly (Reserved | Operator)[]): boolean {
    if (this.#token.kind === "operator") return ends.includes(this.#token.operator);
    const { reserved } = this;
    return reserved !== undefined && ends.includes(reserved);
  }

  skipNewlines(): void {
    while (this.#token.kind === "newline") this.advance();
  }

  /**
   * Takes a reserved word.
   *
   * @param word The word
   * @param opener What it belongs to
   * @throws {ShellSyntaxError} If it is not there
   */
  expectReserved(word: Reserved, opener: string): void {
    if (this.reserved === word) return this.advance();
    throw this.unexpected(`\`${word}\` for this \`${opener}\``, undefined);
  }

  /**
   * Looks that an operator is there, and does not look behind it: what is there may not be this
   * reader's.
   *
   * @param operator The operator
   * @throws {ShellSyntaxError} If it is not there
   */
  expectOperator(operator: Operator): void {
    if (!this.isOperator(operator)) throw this.unexpected(`\`${operator}\``, undefined);
  }

  /** @throws {ShellSyntaxError} If there is more */
  expectEnd(): void {
    if (this.#token.kind !== "end") throw this.unexpected("a command", "`help` lists the verbs");
  }

  /**
   * The error for a token that cannot stand where it stands.
   *
   * @param expected What could
   * @param hint The next step
   * @returns The error
   */
  unexpected(expected: string, hint: string | undefined): ShellSyntaxError {
    const token = this.#token;
    const found = token.kind === "operator" ? token.operator : plainText(token);
    const newline = token.kind === "newline" ? ", found the line's end" : "";
    return new ShellSyntaxError(
      `Expected ${expected}${found === undefined ? newline : `, found \`${found}\``}`,
      token.span,
      { ...(hint === undefined ? {} : { hint }), incomplete: token.kind === "end" },
    );
  }

  /**
   * Refuses a word that begins what sh does not know.
   *
   * @param word The first of a command
   * @throws {ShellSyntaxError} With what to write in its place
   */
  refuseForeign(word: WordToken): void {
    const text = plainText(word);
    if (text === undefined || !Object.hasOwn(FOREIGN, text)) return;
    throw new ShellSyntaxError(`Cannot understand \`${text}\``, word.span, {
      hint: FOREIGN[text]!,
    });
  }
}

/**
 * The text of a word that has no quotes and no expansions.
 *
 * @param token A token
 * @returns Its text; undefined if it has such, or is no word
 */
export function plainText(token: Token): string | undefined {
  if (token.kind !== "word" || token.parts.length !== 1) return undefined;
  const [part] = token.parts;
  return part?.kind === "text" && !part.quoted ? part.text : undefined;
}
