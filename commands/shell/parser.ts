/**
 * From tokens to a tree. The grammar, as a subset of sh's (POSIX.1-2017 XCU 2.10):
 *
 *     script   := (list (";" | newline)+)*
 *     list     := pipeline (("&&" | "||") pipeline)*
 *     pipeline := command ("|" command)*
 *     command  := NAME=WORD* ["^"]WORD* (">" | ">>" | "<") WORD …
 *
 * @module
 */
import { Lexer, type Operator, type Part, type Token } from "./lexer.ts";
import { ShellSyntaxError, type Span } from "./syntax_error.ts";

/** A word before its variables have their values. */
export interface Word {
  readonly parts: readonly Part[];
  readonly span: Span;
}

/** `NAME=WORD` before a command or alone. */
export interface Assignment {
  readonly name: string;
  readonly value: Word;
}

/** `> FILE`, `>> FILE` or `< FILE`. */
export interface Redirection {
  readonly operator: ">" | ">>" | "<";
  readonly target: Word;
}

/** A verb, a built-in or a host program with its words. */
export interface SimpleCommand {
  readonly kind: "simple";
  /** Written with `^`: a program of the host even if a verb has that name. */
  readonly host: boolean;
  readonly assignments: readonly Assignment[];
  readonly words: readonly Word[];
  readonly redirections: readonly Redirection[];
  readonly span: Span;
}

/** What may stand between two `|`. */
export type Command = SimpleCommand;

/** Commands that run at once, each reading what the one before writes. */
export interface Pipeline {
  readonly kind: "pipeline";
  readonly commands: readonly Command[];
  readonly span: Span;
}

/** Pipelines joined by `&&` and `||`, which bind alike and from the left. */
export interface List {
  readonly kind: "list";
  readonly first: Pipeline;
  readonly rest: readonly { readonly operator: "&&" | "||"; readonly pipeline: Pipeline }[];
}

/** Lists that run one after the other. */
export interface Script {
  readonly kind: "script";
  readonly lists: readonly List[];
}

const ASSIGNMENT = /^([A-Za-z_][A-Za-z0-9_]*)=/;

/**
 * Parses the text of one or more lines.
 *
 * @param source The text
 * @returns Its tree
 * @throws {ShellSyntaxError} Pointing at the text at fault; `incomplete` if more could mend it
 * @example
 * ```ts
 * import { parse } from "./parser.ts";
 * import assert from "node:assert/strict";
 *
 * const script = parse("create -m 64M | jq -c . > vm.json");
 * assert.equal(script.lists[0]?.first.commands.length, 2);
 * ```
 */
export function parse(source: string): Script {
  return new Parser(source).script();
}

class Parser {
  readonly #lexer: Lexer;
  #token: Token;

  constructor(source: string) {
    this.#lexer = new Lexer(source);
    this.#token = this.#lexer.next();
  }

  script(): Script {
    const lists: List[] = [];
    this.#skipNewlines();
    while (this.#token.kind !== "end") {
      lists.push(this.#list());
      if (this.#token.kind === "newline") this.#skipNewlines();
      else if (this.#isOperator(";")) {
        this.#advance();
        this.#skipNewlines();
      }
    }
    return { kind: "script", lists };
  }

  #list(): List {
    const first = this.#pipeline();
    const rest = [];
    while (this.#isOperator("&&") || this.#isOperator("||")) {
      const operator = this.#operator() as "&&" | "||";
      rest.push({ operator, pipeline: this.#pipelineAfter(operator) });
    }
    return { kind: "list", first, rest };
  }

  #pipelineAfter(operator: Operator): Pipeline {
    this.#skipNewlines();
    this.#expectCommand(operator);
    return this.#pipeline();
  }

  #pipeline(): Pipeline {
    const commands = [this.#command()];
    while (this.#isOperator("|")) {
      this.#advance();
      this.#skipNewlines();
      this.#expectCommand("|");
      commands.push(this.#command());
    }
    const span = { start: commands[0]!.span.start, end: commands.at(-1)!.span.end };
    return { kind: "pipeline", commands, span };
  }

  #command(): SimpleCommand {
    const assignments: Assignment[] = [];
    const words: Word[] = [];
    const redirections: Redirection[] = [];
    const start = this.#token.span.start;
    let end = start;
    let host = false;
    for (;;) {
      const token = this.#token;
      if (token.kind === "word") {
        const assignment = words.length === 0 ? asAssignment(token) : undefined;
        if (assignment !== undefined) assignments.push(assignment);
        else if (words.length === 0 && startsWithCaret(token)) {
          host = true;
          words.push(withoutCaret(token));
        } else words.push(token);
        end = token.span.end;
        this.#advance();
      } else if (this.#isOperator("<") || this.#isOperator(">") || this.#isOperator(">>")) {
        const operator = this.#operator() as Redirection["operator"];
        const target = this.#token;
        if (target.kind !== "word") {
          throw new ShellSyntaxError(`Expected a file name after \`${operator}\``, target.span);
        }
        redirections.push({ operator, target });
        end = target.span.end;
        this.#advance();
      } else break;
    }
    if (end === start) this.#expectCommand(undefined);
    return { kind: "simple", host, assignments, words, redirections, span: { start, end } };
  }

  /** Refuses a token that cannot begin a command. */
  #expectCommand(after: Operator | undefined): void {
    const token = this.#token;
    if (token.kind === "word") return;
    if (token.kind === "operator" && "<>>".includes(token.operator)) return;
    const found = token.kind === "operator" ? `, found \`${token.operator}\`` : "";
    const where = after === undefined ? "" : ` after \`${after}\``;
    throw new ShellSyntaxError(`Expected a command${where}${found}`, token.span, {
      hint: "`help` lists the verbs",
      incomplete: token.kind === "end",
    });
  }

  #isOperator(operator: Operator): boolean {
    return this.#token.kind === "operator" && this.#token.operator === operator;
  }

  #operator(): Operator | undefined {
    const token = this.#token;
    this.#advance();
    return token.kind === "operator" ? token.operator : undefined;
  }

  #advance(): void {
    this.#token = this.#lexer.next();
  }

  #skipNewlines(): void {
    while (this.#token.kind === "newline") this.#advance();
  }
}

function asAssignment(word: Word): Assignment | undefined {
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
