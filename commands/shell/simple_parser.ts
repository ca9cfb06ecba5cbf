/**
 * Parses simple commands and redirections.
 *
 * @module
 */
import type { Operator, WordToken } from "./lexer.ts";
import { ShellSyntaxError } from "./syntax_error.ts";
import { TokenReader } from "./token_reader.ts";
import type {
  Assignment,
  Part,
  Redirection,
  RedirectionOperator,
  SimpleCommand,
  Word,
} from "./tree.ts";

const ASSIGNMENT = /^([A-Za-z_][A-Za-z0-9_]*)=/;
const REDIRECTIONS: readonly string[] = ["<", ">", ">|", ">>", "<>", "<&", ">&", "<<", "<<-"];

/** A parser of simple commands. */
export class SimpleParser extends TokenReader {
  /** A command that is no compound one; its first word may have been taken already. */
  protected simple(first?: WordToken): SimpleCommand {
    const assignments: Assignment[] = [];
    const words: Word[] = [];
    const redirections: Redirection[] = [];
    const { start } = (first ?? this.token).span;
    let { end } = (first ?? this.token).span;
    let host = false;
    const take = (word: WordToken) => {
      const assignment = words.length === 0 ? asAssignment(word) : undefined;
      if (assignment !== undefined) assignments.push(assignment);
      else if (words.length === 0 && startsWithCaret(word)) {
        host = true;
        words.push(withoutCaret(word));
      } else words.push(word);
      ({ end } = word.span);
    };
    if (first !== undefined) take(first);
    for (;;) {
      if (this.token.kind === "word") {
        take(this.token);
        this.advance();
      } else if (this.atRedirection) {
        const redirection = this.redirection();
        redirections.push(redirection);
        ({ end } = redirection.target.span);
      } else break;
    }
    return { kind: "simple", host, assignments, words, redirections, span: { start, end } };
  }

  /** Whether a redirection is there. */
  protected get atRedirection(): boolean {
    return this.token.kind === "operator" && REDIRECTIONS.includes(this.token.operator);
  }

  /** The redirections behind a compound command. */
  protected redirections(): Redirection[] {
    const redirections: Redirection[] = [];
    while (this.atRedirection) redirections.push(this.redirection());
    return redirections;
  }

  /** One redirection. */
  protected redirection(): Redirection {
    const token = this.token;
    if (token.kind !== "operator") throw this.unexpected("a redirection", undefined);
    const { operator, descriptor } = token;
    this.advance();
    const target = this.token;
    if (target.kind !== "word") {
      const what = operator.startsWith("<<")
        ? "the word that ends the lines"
        : operator.endsWith("&")
        ? "the number of a descriptor"
        : "a file name";
      throw this.unexpected(`${what} after \`${operator}\``, undefined);
    }
    const here = operator === "<<" || operator === "<<-";
    const document = here ? this.lexer.hereDocument(target, operator === "<<-") : undefined;
    this.advance();
    return {
      operator: here ? "<<" : operator as RedirectionOperator,
      descriptor: descriptor ?? (operator.startsWith("<") ? 0 : 1),
      target,
      ...(document === undefined ? {} : { document }),
    };
  }

  /** Refuses a token that cannot begin a command. */
  protected expectCommand(after: Operator | "!" | undefined): void {
    const { token, reserved } = this;
    if (token.kind === "word" && reserved === undefined) return this.refuseForeign(token);
    if (this.atRedirection || this.isOperator("(")) return;
    if (reserved !== undefined && BEGINNING.has(reserved)) return;
    const where = after === undefined ? "" : ` after \`${after}\``;
    throw this.unexpected(`a command${where}`, "`help` lists the verbs");
  }
}

/** The reserved words that begin a command. */
export const BEGINNING: ReadonlySet<string> = new Set([
  "if",
  "for",
  "while",
  "until",
  "case",
  "{",
  "!",
]);

/**
 * Reads a word as an assignment.
 *
 * @param word The word
 * @returns The assignment; undefined if it is none
 */
export function asAssignment(word: Word): Assignment | undefined {
  const [first, ...rest] = word.parts;
  if (first?.kind !== "text" || first.quoted) return undefined;
  const [head, name] = ASSIGNMENT.exec(first.text) ?? [];
  if (head === undefined || name === undefined) return undefined;
  const text = first.text.slice(head.length);
  const parts: Part[] = text === "" ? rest : [{ ...first, text }, ...rest];
  return { name, value: { parts, span: word.span } };
}

function startsWithCaret(word: Word): boolean {
  const [first] = word.parts;
  return first?.kind === "text" && !first.quoted && first.text.startsWith("^");
}

function withoutCaret(word: Word): Word {
  const [first, ...rest] = word.parts;
  if (first?.kind !== "text") return word;
  const text = first.text.slice(1);
  const parts: Part[] = text === "" ? rest : [{ ...first, text }, ...rest];
  if (parts.length === 0) {
    throw new ShellSyntaxError("Expected a program's name after `^`", word.span);
  }
  return { parts, span: word.span };
}
