/**
 * From a text to tokens: words and operators. The words mean what they mean in sh (POSIX.1-2017 XCU
 * 2.2 and 2.3), so that a line runs there as well; what other shells know and sh does not is an
 * error that says so, never a silent difference.
 *
 * @module
 */
import { Cursor, type ReadScript } from "./cursor.ts";
import { ShellSyntaxError, type Span } from "./syntax_error.ts";
import type { HereDocument, Part, Word } from "./tree.ts";
import { unclosed, WORD_END, WordReader } from "./word_reader.ts";

/** An operator of the grammar. */
export type Operator = typeof OPERATORS[number];

/** A word: parts that stand directly behind one another. */
export interface WordToken extends Word {
  readonly kind: "word";
}

/** An operator. */
export interface OperatorToken {
  readonly kind: "operator";
  readonly operator: Operator;
  /** The number before a redirection. */
  readonly descriptor?: number;
  readonly span: Span;
}

/** What the parser reads. */
export type Token =
  | WordToken
  | OperatorToken
  | { readonly kind: "newline"; readonly span: Span }
  | { readonly kind: "end"; readonly span: Span };

/** The longer ones first. */
const OPERATORS = [
  ...["<<-", "&&", "||", ";;", ">>", "<<", ">&", "<&", "<>", ">|"] as const,
  ...["|", "&", ";", ">", "<", "(", ")"] as const,
] as const;
/** What bash knows beside them, and how sh says it. */
const FOREIGN: readonly (readonly [operator: string, hint: string])[] = [
  ["<<<", "printf '%s\\n' WORD | command"],
  ["&>", "command > FILE 2>&1"],
  ["|&", "command 2>&1 | command"],
  [";&", "write the commands into both branches"],
];
const BLANK = /[ \t\r]/;

interface PendingDocument {
  readonly document: HereDocument;
  readonly end: string;
  readonly quoted: boolean;
  readonly tabs: boolean;
  readonly span: Span;
}

/** Reads tokens off a text, one a call. */
export class Lexer {
  readonly cursor: Cursor;
  readonly #readScript: ReadScript;
  readonly #words: WordReader;
  #pending: PendingDocument[] = [];

  /**
   * @param source The text to read, or a place in one
   * @param readScript Reads the commands of a `$(…)`; without it there is none
   */
  constructor(source: string | Cursor, readScript: ReadScript = noScript) {
    this.cursor = typeof source === "string" ? new Cursor(source) : source;
    this.#readScript = readScript;
    this.#words = new WordReader(this.cursor, readScript);
  }

  /**
   * Reads the next token; at the end of the text, an `end` token each time.
   *
   * @returns The token
   * @throws {ShellSyntaxError} If the text there is no token
   */
  next(): Token {
    this.#skipBlanks();
    const { cursor } = this;
    const start = cursor.at;
    if (cursor.character === undefined) {
      const [pending] = this.#pending;
      if (pending !== undefined) throw this.#endless(pending);
      return { kind: "end", span: { start, end: start } };
    }
    if (cursor.character === "\n") {
      cursor.at++;
      this.#readDocuments();
      return { kind: "newline", span: { start, end: start + 1 } };
    }
    return this.#operator() ?? this.#word();
  }

  /**
   * Says that the lines behind the next newline are a here-document.
   *
   * @param end The word that ends it
   * @param tabs Whether tabs before its lines are left out
   * @returns Gets the lines
   */
  hereDocument(end: Word, tabs: boolean): HereDocument {
    const document: HereDocument = { parts: [] };
    const { start } = end.span;
    if (end.parts.some(({ kind }) => kind !== "text")) {
      throw new ShellSyntaxError("The end of a here-document is a plain word", end.span, {
        hint: "command << END",
      });
    }
    this.#pending.push({
      document,
      end: end.parts.map((part) => part.kind === "text" ? part.text : "").join(""),
      quoted: end.parts.some(({ quoted }) => quoted),
      tabs,
      span: { start, end: end.span.end },
    });
    return document;
  }

  #skipBlanks(): void {
    const { cursor } = this;
    for (;;) {
      const { character } = cursor;
      if (character === undefined) return;
      if (BLANK.test(character)) cursor.at++;
      else if (cursor.startsWith("\\\n")) cursor.at += 2;
      else if (character === "#") {
        const end = cursor.source.indexOf("\n", cursor.at);
        cursor.at = end === -1 ? cursor.source.length : end;
      } else return;
    }
  }

  #operator(descriptor?: number, start = this.cursor.at): OperatorToken | undefined {
    const { cursor } = this;
    for (const [operator, hint] of FOREIGN) {
      if (!cursor.startsWith(operator)) continue;
      throw new ShellSyntaxError(
        `Cannot understand \`${operator}\``,
        { start: cursor.at, end: cursor.at + operator.length },
        { hint },
      );
    }
    const operator = OPERATORS.find((operator) => cursor.startsWith(operator));
    if (operator === undefined) return undefined;
    cursor.at += operator.length;
    return {
      kind: "operator",
      operator,
      ...(descriptor === undefined ? {} : { descriptor }),
      span: { start, end: cursor.at },
    };
  }

  #word(): WordToken | OperatorToken {
    const { cursor } = this;
    const start = cursor.at;
    const parts: Part[] = [];
    if (/^~(?![^/ \t\r\n|&;<>()])/.test(cursor.source.slice(start, start + 2))) {
      // As in sh, a leading ~ is the home folder and its value is taken as it is.
      const span = { start, end: start + 1 };
      parts.push({ kind: "variable", name: "HOME", quoted: true, span });
      cursor.at++;
    }
    for (const part of this.#words.parts("word", (end) => WORD_END.test(end))) parts.push(part);
    const span = { start, end: cursor.at };
    // Digits directly before `<` or `>` are the descriptor that is redirected.
    const digits = /^[0-9]{1,4}$/.test(cursor.source.slice(start, cursor.at));
    if (digits && (cursor.character === ">" || cursor.character === "<")) {
      return this.#operator(Number(cursor.source.slice(start, cursor.at)), start)!;
    }
    return { kind: "word", parts, span };
  }

  #readDocuments(): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const document of pending) this.#readDocument(document);
  }

  #readDocument(pending: PendingDocument): void {
    const { cursor } = this;
    const start = cursor.at;
    let at = start;
    for (;;) {
      if (at >= cursor.source.length) throw this.#endless(pending);
      const newline = cursor.source.indexOf("\n", at);
      const lineEnd = newline === -1 ? cursor.source.length : newline;
      const line = cursor.source.slice(at, lineEnd);
      const behind = Math.min(lineEnd + 1, cursor.source.length);
      if ((pending.tabs ? line.replace(/^\t+/, "") : line) === pending.end) {
        pending.document.parts = this.#documentParts(start, at, pending);
        cursor.at = behind;
        return;
      }
      at = behind;
    }
  }

  #documentParts(start: number, end: number, { quoted, tabs }: PendingDocument): readonly Part[] {
    const { source, depth } = this.cursor;
    if (quoted) {
      const text = source.slice(start, end);
      return [{ kind: "text", text: tabs ? text.replace(/^\t+/gm, "") : text, quoted: true }];
    }
    const body = new Cursor(source.slice(0, end), start, depth);
    const reader = new WordReader(body, this.#readScript);
    if (!tabs) return reader.parts("lines", () => false);
    const parts: Part[] = [];
    while (body.character !== undefined) {
      while (body.character === "\t") body.at++;
      for (const part of reader.parts("lines", (character) => character === "\n")) parts.push(part);
      if (body.character === undefined) break;
      parts.push({ kind: "text", text: "\n", quoted: true });
      body.at++;
    }
    return parts;
  }

  #endless({ end, span }: PendingDocument): ShellSyntaxError {
    return new ShellSyntaxError("Cannot find the end of the here-document", span, {
      hint: `a line that is only ${JSON.stringify(end)} ends it`,
      incomplete: true,
    });
  }
}

function noScript(cursor: Cursor): never {
  throw unclosed(cursor.at - 2, "$(");
}
