/**
 * From a line to tokens: words with their quoted and unquoted parts, and operators. The words
 * mean what they mean in sh (POSIX.1-2017 XCU 2.2 and 2.3), so that a line runs there as well;
 * what sh knows and this shell does not is an error that says so, never a silent difference.
 *
 * @module
 */
import { ShellSyntaxError, type Span } from "./syntax_error.ts";

/** A piece of a word. */
export type Part =
  | { readonly kind: "text"; readonly text: string; readonly quoted: boolean }
  | { readonly kind: "variable"; readonly name: string; readonly quoted: boolean };

/** An operator of the grammar. */
export type Operator = "|" | "||" | "&&" | ";" | ">" | ">>" | "<";

/** A word: parts that stand directly behind one another. */
export interface WordToken {
  readonly kind: "word";
  readonly parts: readonly Part[];
  readonly span: Span;
}

/** What the parser reads. */
export type Token =
  | WordToken
  | { readonly kind: "operator"; readonly operator: Operator; readonly span: Span }
  | { readonly kind: "newline"; readonly span: Span }
  | { readonly kind: "end"; readonly span: Span };

const OPERATORS: readonly Operator[] = ["&&", "||", ">>", "|", ";", ">", "<"];
const BLANK = /[ \t\r]/;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
/** What ends a word when it stands unquoted. */
const WORD_END = /[ \t\r\n|&;<>()]/;

/** Reads tokens off a text, one a call. */
export class Lexer {
  readonly #source: string;
  #at = 0;

  /** @param source The text to read */
  constructor(source: string) {
    this.#source = source;
  }

  /**
   * Reads the next token; at the end of the text, an `end` token each time.
   *
   * @returns The token
   * @throws {ShellSyntaxError} If the text there is no token
   */
  next(): Token {
    this.#skipBlanks();
    const start = this.#at;
    if (start >= this.#source.length) return { kind: "end", span: { start, end: start } };
    if (this.#source[start] === "\n") {
      this.#at++;
      return { kind: "newline", span: { start, end: this.#at } };
    }
    for (const operator of OPERATORS) {
      if (!this.#source.startsWith(operator, start)) continue;
      this.#at += operator.length;
      this.#refuseForeignRedirection(operator, start);
      return { kind: "operator", operator, span: { start, end: this.#at } };
    }
    return this.#word();
  }

  #skipBlanks(): void {
    for (;;) {
      const character = this.#source[this.#at];
      if (character === undefined) return;
      if (BLANK.test(character)) this.#at++;
      else if (this.#source.startsWith("\\\n", this.#at)) this.#at += 2;
      else if (character === "#") {
        const end = this.#source.indexOf("\n", this.#at);
        this.#at = end === -1 ? this.#source.length : end;
      } else return;
    }
  }

  /** `<<`, `<>`, `<&`, `>&` and `>|` of sh would otherwise read as two operators or as nonsense. */
  #refuseForeignRedirection(operator: Operator, start: number): void {
    if (operator !== "<" && operator !== ">" && operator !== ">>") return;
    const next = this.#source[this.#at];
    if (next === undefined || !"<>&|".includes(next)) return;
    throw new ShellSyntaxError(
      `Cannot redirect with \`${operator}${next}\``,
      { start, end: this.#at + 1 },
      { hint: "`>`, `>>` and `<` redirect; for more, give the line to sh -c '…'" },
    );
  }

  #word(): WordToken {
    const start = this.#at;
    const parts: Part[] = [];
    let text = "";
    const flush = () => {
      if (text !== "") parts.push({ kind: "text", text, quoted: false });
      text = "";
    };
    if (/^~(?![^/ \t\r\n|&;<>()])/.test(this.#source.slice(start, start + 2))) {
      // As in sh, a leading ~ is the home folder and its value is taken as it is.
      parts.push({ kind: "variable", name: "HOME", quoted: true });
      this.#at++;
    }
    for (;;) {
      const character = this.#source[this.#at];
      if (character === undefined || WORD_END.test(character)) break;
      if (character === "'") {
        flush();
        parts.push(this.#singleQuotes());
      } else if (character === '"') {
        flush();
        parts.push(...this.#doubleQuotes());
      } else if (character === "\\") {
        const escaped = this.#escaped();
        if (escaped === "") continue;
        flush();
        parts.push({ kind: "text", text: escaped, quoted: true });
      } else if (character === "$") {
        const name = this.#variable();
        if (name === undefined) text += "$";
        else {
          flush();
          parts.push({ kind: "variable", name, quoted: false });
        }
      } else if (character === "`") {
        throw this.#noSubstitution();
      } else {
        text += character;
        this.#at++;
      }
    }
    flush();
    const span = { start, end: this.#at };
    if (span.start === span.end) throw this.#foreignOperator();
    this.#refuseDescriptor(parts, span);
    return { kind: "word", parts, span };
  }

  /** `&`, `(` and `)`: characters of sh's grammar that mean nothing here. */
  #foreignOperator(): ShellSyntaxError {
    const character = this.#source[this.#at]!;
    const hint = character === "&"
      ? "`&&` runs what follows if this succeeded, `run -d` starts a VM in the background; quote it to mean the character: '&'"
      : `Quote it to mean the character: '${character}'`;
    return new ShellSyntaxError(
      `Cannot understand \`${character}\` here`,
      { start: this.#at, end: this.#at + 1 },
      { hint },
    );
  }

  /** In sh `2>x` redirects stderr; reading it as a word and `>` would write another thing to x. */
  #refuseDescriptor(parts: readonly Part[], span: Span): void {
    const [only] = parts;
    const next = this.#source[span.end];
    if (parts.length !== 1 || only?.kind !== "text" || only.quoted) return;
    if ((next !== ">" && next !== "<") || !/^[0-9]+$/.test(only.text)) return;
    throw new ShellSyntaxError(`Cannot redirect descriptor ${only.text}`, {
      start: span.start,
      end: span.end + 1,
    }, { hint: "`>` redirects stdout; for other descriptors, give the line to sh -c '…'" });
  }

  #singleQuotes(): Part {
    const start = this.#at;
    const end = this.#source.indexOf("'", start + 1);
    if (end === -1) throw this.#unclosed(start, "'");
    this.#at = end + 1;
    return { kind: "text", text: this.#source.slice(start + 1, end), quoted: true };
  }

  #doubleQuotes(): Part[] {
    const start = this.#at++;
    const parts: Part[] = [];
    let text = "";
    for (;;) {
      const character = this.#source[this.#at];
      if (character === undefined) throw this.#unclosed(start, '"');
      if (character === '"') break;
      if (character === "\\") {
        const next = this.#source[this.#at + 1];
        // XCU 2.2.3: between double quotes a backslash escapes only these.
        if (next !== undefined && '$`"\\\n'.includes(next)) text += this.#escaped();
        else {
          text += "\\";
          this.#at++;
        }
      } else if (character === "$") {
        const name = this.#variable();
        if (name === undefined) text += "$";
        else {
          if (text !== "") parts.push({ kind: "text", text, quoted: true });
          text = "";
          parts.push({ kind: "variable", name, quoted: true });
        }
      } else if (character === "`") {
        throw this.#noSubstitution();
      } else {
        text += character;
        this.#at++;
      }
    }
    this.#at++;
    if (text !== "" || parts.length === 0) parts.push({ kind: "text", text, quoted: true });
    return parts;
  }

  /** The character behind a backslash; nothing for a backslash that joins two lines. */
  #escaped(): string {
    const start = this.#at;
    const next = this.#source[start + 1];
    if (next === undefined) {
      throw new ShellSyntaxError("Expected a character after `\\`", { start, end: start + 1 }, {
        hint: "Write `\\\\` to mean a backslash",
        incomplete: true,
      });
    }
    this.#at += 2;
    return next === "\n" ? "" : next;
  }

  /** The name behind a `$`; undefined if the `$` stands for itself. */
  #variable(): string | undefined {
    const start = this.#at++;
    const rest = this.#source[this.#at];
    if (rest === "?") {
      this.#at++;
      return "?";
    }
    if (rest === "(") throw this.#noSubstitution(start);
    const braced = rest === "{";
    if (braced) this.#at++;
    NAME.lastIndex = this.#at;
    const name = NAME.exec(this.#source)?.[0];
    if (name !== undefined) this.#at += name.length;
    if (braced) {
      if (this.#at >= this.#source.length) throw this.#unclosed(start, "${");
      if (name === undefined || this.#source[this.#at] !== "}") {
        throw new ShellSyntaxError(
          "Expected `${NAME}`",
          { start, end: this.#at + 1 },
          { hint: "Quote it to mean the characters: '${'" },
        );
      }
      this.#at++;
    } else if (name === undefined && rest !== undefined && /[0-9@#*$!-]/.test(rest)) {
      throw new ShellSyntaxError(
        `Cannot expand \`$${rest}\``,
        { start, end: this.#at + 1 },
        { hint: `Quote it to mean the characters: '$${rest}'` },
      );
    }
    return name;
  }

  #noSubstitution(start = this.#at): ShellSyntaxError {
    return new ShellSyntaxError(
      "Cannot put a command's output into a line",
      { start, end: this.#at + 1 },
      { hint: "Quote it to mean the characters, or give the line to sh -c '…'" },
    );
  }

  #unclosed(start: number, what: string): ShellSyntaxError {
    return new ShellSyntaxError(
      `Cannot find the end of \`${what}\``,
      { start, end: start + what.length },
      { hint: `Close it with \`${what === "${" ? "}" : what}\``, incomplete: true },
    );
  }
}
