/**
 * Reads a word: quotes, escapes and what stands behind a `$`, as sh has them (POSIX.1-2017 XCU 2.2
 * and 2.6).
 *
 *     word    := ( text | "'" … "'" | '"' part* '"' | "\" character | dollar )+
 *     dollar  := "$" NAME | "$" special | "${" ["#"] name [ [":"] operator word ] "}"
 *              | "$(" script ")" | "$((" part* "))"
 *
 * @module
 */
import type { Cursor, ReadScript } from "./cursor.ts";
import { readBraces } from "./braces_reader.ts";
import { ShellSyntaxError } from "./syntax_error.ts";
import type { Part } from "./tree.ts";

/** What ends a word when it stands unquoted. */
export const WORD_END = /[ \t\r\n|&;<>()]/;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
/** XCU 2.5.2; `$12` is `$1` and a 2. */
const SPECIAL = /[0-9?!#@*$-]/;

/** Where text stands, which says what a character means there. */
export type Place =
  /** In a word. */
  | "word"
  /** Between double quotes. */
  | "quotes"
  /** In the lines of a here-document, or between `$((` and `))`: as between quotes, which are plain. */
  | "lines"
  /** In the word of a `${…}`. */
  | "braces"
  /** In the word of a `${…}` between double quotes. */
  | "quoted braces";

/** Gathers parts, text that belongs together as one. */
class Parts {
  readonly parts: Part[] = [];
  #text = "";
  #quoted = false;

  text(text: string, quoted: boolean): void {
    if (quoted !== this.#quoted) this.flush();
    this.#quoted = quoted;
    this.#text += text;
  }

  add(part: Part): void {
    this.flush();
    this.parts.push(part);
  }

  flush(): void {
    if (this.#text !== "") {
      this.parts.push({ kind: "text", text: this.#text, quoted: this.#quoted });
    }
    this.#text = "";
  }
}

/** Reads words where a cursor stands. */
export class WordReader {
  readonly cursor: Cursor;
  readonly #readScript: ReadScript;

  /**
   * @param cursor Where
   * @param readScript Reads the commands of a `$(…)`
   */
  constructor(cursor: Cursor, readScript: ReadScript) {
    this.cursor = cursor;
    this.#readScript = readScript;
  }

  /**
   * Reads parts up to what ends them at a place, and leaves the cursor there.
   *
   * @param place Where they stand
   * @param ends Whether the character at the cursor ends them
   * @returns The parts
   * @throws {ShellSyntaxError} If they are none
   */
  parts(place: Place, ends: (character: string) => boolean): Part[] {
    const { cursor } = this;
    const quoted = place === "quotes" || place === "lines" || place === "quoted braces";
    const parts = new Parts();
    for (;;) {
      const { character } = cursor;
      if (character === undefined || ends(character)) break;
      if (character === "'" && !quoted) parts.add(this.#singleQuotes());
      else if (character === '"' && place !== "lines" && place !== "quotes") {
        for (const part of this.#doubleQuotes()) parts.add(part);
      } else if (character === "\\") this.#backslash(place, parts);
      else if (character === "$") {
        const part = this.#dollar(quoted);
        if (part === undefined) parts.text("$", quoted);
        else parts.add(part);
      } else if (character === "`") throw this.#backquote();
      else {
        parts.text(character, quoted);
        cursor.at++;
      }
    }
    parts.flush();
    return parts.parts;
  }

  #singleQuotes(): Part {
    const { cursor } = this;
    const start = cursor.at;
    const end = cursor.source.indexOf("'", start + 1);
    if (end === -1) throw unclosed(start, "'");
    cursor.at = end + 1;
    return { kind: "text", text: cursor.source.slice(start + 1, end), quoted: true };
  }

  #doubleQuotes(): Part[] {
    const { cursor } = this;
    const start = cursor.at++;
    const parts = this.parts("quotes", (character) => character === '"');
    if (cursor.character === undefined) throw unclosed(start, '"');
    cursor.at++;
    // The marks themselves make a word, if nothing is between them.
    return parts.length > 0 ? parts : [{ kind: "text", text: "", quoted: true }];
  }

  #backslash(place: Place, parts: Parts): void {
    const { cursor } = this;
    const next = cursor.source[cursor.at + 1];
    if (place !== "word" && place !== "braces") {
      // XCU 2.2.3: between double quotes a backslash escapes only these.
      const escapable = place === "lines" ? "$`\\\n" : place === "quotes" ? '$`"\\\n' : '$`"\\\n}';
      if (next === undefined || !escapable.includes(next)) {
        parts.text("\\", true);
        cursor.at++;
        return;
      }
    }
    if (next === undefined) {
      throw new ShellSyntaxError(
        "Expected a character after `\\`",
        { start: cursor.at, end: cursor.at + 1 },
        { hint: "write `\\\\` to mean a backslash", incomplete: true },
      );
    }
    cursor.at += 2;
    // A backslash at the end of a line joins it to the next.
    if (next !== "\n") parts.text(next, true);
  }

  /** What a `$` stands for; undefined if for itself. */
  #dollar(quoted: boolean): Part | undefined {
    const { cursor } = this;
    const start = cursor.at++;
    const next = cursor.character;
    if (next === "(") return this.#parentheses(start, quoted);
    if (next === "{") return readBraces(this, start, quoted);
    const special = next !== undefined && SPECIAL.test(next);
    if (special) cursor.at++;
    const name = special ? next : this.name();
    if (name === undefined) return undefined;
    return { kind: "variable", name, quoted, span: { start, end: cursor.at } };
  }

  /** A name at the cursor, which is moved behind it. */
  name(): string | undefined {
    const { cursor } = this;
    NAME.lastIndex = cursor.at;
    const name = NAME.exec(cursor.source)?.[0];
    if (name !== undefined) cursor.at += name.length;
    return name;
  }

  #parentheses(start: number, quoted: boolean): Part {
    const { cursor } = this;
    return cursor.nested(() => {
      if (cursor.startsWith("((")) {
        const parts = this.#arithmetic(start);
        if (parts !== undefined) {
          return { kind: "arithmetic", parts, quoted, span: { start, end: cursor.at } };
        }
      }
      cursor.at = start + 2;
      return { kind: "command", script: this.#readScript(cursor), quoted };
    });
  }

  /** What is between `$((` and `))`; undefined if it is a subshell in a `$(…)`. */
  #arithmetic(start: number): Part[] | undefined {
    const { cursor } = this;
    cursor.at = start + 3;
    let open = 0;
    const parts = this.parts("lines", (character) => {
      if (character === "(") open++;
      else if (character === ")") open--;
      return open < 0;
    });
    if (cursor.character === undefined) throw unclosed(start, "$((");
    if (!cursor.startsWith("))")) return undefined;
    cursor.at += 2;
    return parts;
  }

  #backquote(): ShellSyntaxError {
    const { at } = this.cursor;
    return new ShellSyntaxError(
      "Cannot read backquotes",
      { start: at, end: at + 1 },
      { hint: "write $(…) for what a command prints, or quote it: '`'" },
    );
  }
}

/**
 * The error for what is never closed, which more text could.
 *
 * @param start Where it begins
 * @param what How it begins
 * @returns The error
 */
export function unclosed(start: number, what: string): ShellSyntaxError {
  const close = { "${": "}", "$((": "))", "$(": ")", "(": ")" }[what] ?? what;
  return new ShellSyntaxError(
    `Cannot find the end of \`${what}\``,
    { start, end: start + what.length },
    { hint: `close it with \`${close}\``, incomplete: true },
  );
}
