/**
 * Parses lists, pipelines and compound commands.
 *
 * @module
 */
import type { Operator } from "./lexer.ts";
import { BEGINNING, SimpleParser } from "./simple_parser.ts";
import { ShellSyntaxError } from "./syntax_error.ts";
import { plainText, type Reserved } from "./token_reader.ts";
import type {
  Command,
  CompoundCommand,
  List,
  Pipeline,
  Redirection,
  Script,
  Word,
} from "./tree.ts";
import { unclosed } from "./word_reader.ts";

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** A compound command without what stands behind it. */
type Bare<C = CompoundCommand> = C extends CompoundCommand ? Omit<C, "redirections" | "span">
  : never;

/** A parser of everything. */
export class CompoundParser extends SimpleParser {
  /** Lists up to the end of the text, or to what ends them. */
  script(ends: readonly (Reserved | Operator)[]): Script {
    const lists: List[] = [];
    this.skipNewlines();
    while (this.token.kind !== "end" && !this.atEndOf(ends)) {
      const list = this.#list();
      lists.push(list.background || this.isOperator(";") ? this.#separated(list) : list);
      if (this.token.kind === "newline") this.skipNewlines();
    }
    return { kind: "script", lists };
  }

  /** The lists of one line; undefined at the end of the text. */
  statement(): Script | undefined {
    const lists: List[] = [];
    this.skipNewlines();
    if (this.token.kind === "end") return undefined;
    while (!this.#atLineEnd()) {
      const list = this.#list();
      lists.push(list.background || this.isOperator(";") ? this.#separated(list) : list);
    }
    return { kind: "script", lists };
  }

  /** Lists that are not none. */
  #body(ends: readonly (Reserved | Operator)[], opener: string, start: number): Script {
    const script = this.cursorNested(() => this.script(ends));
    if (this.token.kind === "end") throw endless(opener, start, ends);
    if (script.lists.length === 0) throw this.unexpected("a command", undefined);
    return script;
  }

  /** Reads what stands inside of something else. */
  cursorNested<T>(read: () => T): T {
    return this.lexer.cursor.nested(read);
  }

  #separated(list: List): List {
    this.advance();
    return list;
  }

  #list(): List {
    const first = this.#pipeline();
    const rest = [];
    let { end } = first.span;
    while (this.isOperator("&&") || this.isOperator("||")) {
      const operator = this.isOperator("&&") ? "&&" as const : "||" as const;
      this.advance();
      this.skipNewlines();
      this.expectCommand(operator);
      const pipeline = this.#pipeline();
      ({ end } = pipeline.span);
      rest.push({ operator, pipeline });
    }
    const background = this.isOperator("&");
    if (!background && !this.#atSeparator()) {
      throw this.unexpected("`;` or a new line before this", undefined);
    }
    return { kind: "list", first, rest, background, span: { start: first.span.start, end } };
  }

  /** What may stand behind a list. */
  #atSeparator(): boolean {
    const { kind } = this.token;
    if (kind === "newline" || kind === "end") return true;
    // Behind a compound command, the word that ends the one around it needs none.
    if (kind === "word") return this.reserved !== undefined && !BEGINNING.has(this.reserved);
    return this.isOperator(";") || this.isOperator(")") || this.isOperator(";;");
  }

  #pipeline(): Pipeline {
    const { start } = this.token.span;
    const negated = this.reserved === "!";
    if (negated) this.advance();
    this.expectCommand(negated ? "!" : undefined);
    if (this.reserved === "!") throw this.unexpected("a command after `!`", undefined);
    const commands = [this.#command()];
    while (this.isOperator("|")) {
      this.advance();
      this.skipNewlines();
      this.expectCommand("|");
      commands.push(this.#command());
    }
    return { kind: "pipeline", negated, commands, span: { start, end: commands.at(-1)!.span.end } };
  }

  #command(): Command {
    const { token } = this;
    const { start } = token.span;
    const compound = this.#compound();
    if (compound !== undefined) return this.#redirected(compound, start);
    if (token.kind !== "word") return this.simple();
    this.advance();
    if (!this.isOperator("(")) return this.simple(token);
    const name = plainText(token);
    if (name === undefined || !NAME.test(name)) {
      throw new ShellSyntaxError("Cannot understand `(` here", this.token.span, {
        hint: "a function is name() { …; }; quote it to mean the character: '('",
      });
    }
    this.advance();
    if (!this.isOperator(")")) throw this.unexpected("`)`", "a function is name() { …; }");
    this.advance();
    this.skipNewlines();
    const bodyStart = this.token.span.start;
    const bare = this.cursorNested(() => this.#compound());
    if (bare === undefined) throw this.unexpected("`{`", "a function is name() { …; }");
    const body = this.#redirected(bare, bodyStart);
    const span = { start, end: body.span.end };
    return { kind: "function", name, body, redirections: [], span };
  }

  #redirected(bare: Bare, start: number): CompoundCommand {
    const redirections: Redirection[] = this.redirections();
    return { ...bare, redirections, span: { start, end: this.end } };
  }

  /** A compound command, if one begins here. */
  #compound(): Bare | undefined {
    const { start } = this.token.span;
    if (this.isOperator("(")) {
      this.advance();
      const body = this.#body([")"], "(", start);
      this.expectOperator(")");
      this.advance();
      return { kind: "subshell", body };
    }
    switch (this.reserved) {
      case "{": {
        this.advance();
        const body = this.#body(["}"], "{", start);
        this.expectReserved("}", "{");
        return { kind: "group", body };
      }
      case "if":
        return this.#if(start);
      case "for":
        return this.#for(start);
      case "while":
        return this.#loop("while", start);
      case "until":
        return this.#loop("until", start);
      case "case":
        return this.#case(start);
      default:
        return undefined;
    }
  }

  #if(start: number): Bare {
    const branches = [];
    do {
      this.advance();
      const condition = this.#body(["then"], "if", start);
      this.expectReserved("then", "if");
      const body = this.#body(["elif", "else", "fi"], "if", start);
      branches.push({ condition, body });
    } while (this.reserved === "elif");
    if (this.reserved !== "else") {
      this.expectReserved("fi", "if");
      return { kind: "if", branches };
    }
    this.advance();
    const otherwise = this.#body(["fi"], "if", start);
    this.expectReserved("fi", "if");
    return { kind: "if", branches, otherwise };
  }

  #loop(kind: "while" | "until", start: number): Bare {
    this.advance();
    const condition = this.#body(["do"], kind, start);
    return { kind, condition, body: this.#do(kind, start) };
  }

  #do(opener: string, start: number): Script {
    if (this.token.kind === "end") throw endless(opener, start, ["done"]);
    this.expectReserved("do", opener);
    const body = this.#body(["done"], opener, start);
    this.expectReserved("done", opener);
    return body;
  }

  #for(start: number): Bare {
    this.advance();
    const name = plainText(this.token);
    if (name === undefined || !NAME.test(name)) {
      throw this.unexpected("a name after `for`", undefined);
    }
    this.advance();
    this.skipNewlines();
    let words: Word[] | undefined;
    if (this.reserved === "in") {
      this.advance();
      words = [];
      while (this.token.kind === "word") {
        words.push(this.token);
        this.advance();
      }
      if (!this.isOperator(";") && !this.#atLineEnd()) throw this.unexpected("`;`", undefined);
    }
    if (this.isOperator(";")) this.advance();
    this.skipNewlines();
    const body = this.#do("for", start);
    return { kind: "for", name, ...(words === undefined ? {} : { words }), body };
  }

  #atLineEnd(): boolean {
    return this.token.kind === "newline" || this.atEnd;
  }

  #case(start: number): Bare {
    this.advance();
    const word = this.token;
    if (word.kind !== "word") throw this.unexpected("a word after `case`", undefined);
    this.advance();
    this.skipNewlines();
    this.expectReserved("in", "case");
    this.skipNewlines();
    const items = [];
    while (this.reserved !== "esac") {
      if (this.atEnd) throw endless("case", start, ["esac"]);
      items.push(this.#item(start));
      this.skipNewlines();
    }
    this.advance();
    return { kind: "case", word, items };
  }

  #item(start: number): { patterns: Word[]; body: Script } {
    if (this.isOperator("(")) this.advance();
    const patterns: Word[] = [];
    for (;;) {
      if (this.token.kind !== "word") throw this.unexpected("a pattern", "PATTERN) commands ;;");
      patterns.push(this.token);
      this.advance();
      if (!this.isOperator("|")) break;
      this.advance();
    }
    if (!this.isOperator(")")) {
      throw this.unexpected("`)` behind the pattern", "PATTERN) commands ;;");
    }
    this.advance();
    const body = this.cursorNested(() => this.script([";;", "esac"]));
    if (this.atEnd) throw endless("case", start, ["esac"]);
    if (this.isOperator(";;")) this.advance();
    return { patterns, body };
  }
}

/** The error for a compound command that more text could end. */
function endless(
  opener: string,
  start: number,
  ends: readonly (Reserved | Operator)[],
): ShellSyntaxError {
  if (opener === "(") return unclosed(start, "(");
  const end = ends.at(-1)!;
  return new ShellSyntaxError(
    `Cannot find the \`${end}\` of this \`${opener}\``,
    { start, end: start + opener.length },
    { hint: `\`${end}\` stands where a command may begin`, incomplete: true },
  );
}
