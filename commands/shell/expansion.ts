/**
 * From a word of the tree to the words that a command is given (POSIX.1-2017 XCU 2.6).
 *
 * @module
 */
import { match } from "ts-pattern";
import { UsageError } from "../../ffi/errors.ts";
import { evaluateArithmetic } from "./arithmetic.ts";
import { type Field, FieldBuilder } from "./fields.ts";
import { fileNames } from "./file_names.ts";
import { homeOf } from "./home_folder.ts";
import { joined, parameter, separator, trimmed, unset } from "./parameters.ts";
import { isPattern, literal } from "./pattern.ts";
import type { Session } from "./session.ts";
import type { Span } from "./syntax_error.ts";
import type { Part, Script, VariablePart, Word } from "./tree.ts";
import { WordFailure } from "./word_failure.ts";

/** A word that is ready, and where it was written. */
export interface Expanded {
  readonly text: string;
  readonly span: Span;
}

/** Runs the commands of a `$(…)` and gives what they write. */
export type Capture = (script: Script) => Promise<string>;

/**
 * A piece of a word: text that is quoted, split where IFS says, or neither; or the end of a field,
 * its text what stands there where there are no fields.
 */
interface Piece {
  readonly kind: "quoted" | "split" | "plain" | "end";
  readonly text: string;
}

/** Expands words for a shell. */
export class Expander {
  readonly #session: Session;
  readonly #capture: Capture;

  /**
   * @param session The shell
   * @param capture Runs the commands of a `$(…)`
   */
  constructor(session: Session, capture: Capture) {
    this.#session = session;
    this.#capture = capture;
  }

  /**
   * Expands a word of a command.
   *
   * @param word The word
   * @returns No word, one or several
   * @throws {WordFailure} If it cannot be expanded
   */
  async words(word: Word): Promise<Expanded[]> {
    const [only] = word.parts;
    // Most words are plain text.
    if (
      word.parts.length === 1 && only?.kind === "text" &&
      (only.quoted || !/[*?~]|\[./.test(only.text))
    ) {
      return [{ text: only.text, span: word.span }];
    }
    const builder = new FieldBuilder(this.#session.variables.get("IFS"));
    for (const piece of await this.#pieces(word.parts, true)) {
      if (piece.kind === "end") builder.end();
      else if (piece.kind === "split") builder.split(piece.text);
      else builder.add(piece.text, piece.kind === "quoted");
    }
    const found = await Promise.all(builder.fields.map((field) => this.#files(field)));
    return found.flat().map((text) => ({ text, span: word.span }));
  }

  async #files({ text, pattern }: Field): Promise<string[]> {
    if (this.#session.options.noglob || !isPattern(pattern)) return [text];
    const names = await fileNames(pattern, this.#session.cwd);
    return names.length > 0 ? names : [text];
  }

  /**
   * Expands what is never split: the name of a file, the word of a `case`.
   *
   * @param word The word
   * @returns The text
   * @throws {WordFailure} If it cannot be expanded
   */
  async whole(word: Pick<Word, "parts">): Promise<string> {
    return textOf(await this.#pieces(word.parts, true));
  }

  /**
   * Expands the value of an assignment, in which `~` means something behind a `:` too.
   *
   * @param word The word
   * @returns The text
   * @throws {WordFailure} If it cannot be expanded
   */
  async assigned(word: Word): Promise<string> {
    const parts: Part[] = [];
    for (const part of word.parts) {
      if (part.kind !== "text" || part.quoted || !part.text.includes("~")) {
        parts.push(part);
        continue;
      }
      const first = parts.length === 0;
      for (const [i, piece] of part.text.split(/(?<=:)/).entries()) {
        const text = i > 0 || first ? this.#home(piece.replace(/:$/, "")) : undefined;
        if (text === undefined) parts.push({ ...part, text: piece });
        else {
          const end = piece.endsWith(":") ? ":" : "";
          parts.push({ ...part, text: text + end, quoted: true });
        }
      }
    }
    return textOf(await this.#pieces(parts, false));
  }

  /**
   * Expands a pattern of a `case`.
   *
   * @param word The word
   * @returns The pattern, its quoted characters with a backslash
   * @throws {WordFailure} If it cannot be expanded
   */
  async pattern(word: Pick<Word, "parts">): Promise<string> {
    const pieces = await this.#pieces(word.parts, true);
    return pieces.map(({ kind, text }) => kind === "quoted" ? literal(text) : text).join("");
  }

  async #pieces(parts: readonly Part[], tilde: boolean): Promise<Piece[]> {
    const pieces: Piece[] = [];
    for (const [i, part] of parts.entries()) {
      if (part.kind === "text") {
        const home = i === 0 && tilde && !part.quoted
          ? this.#leadingHome(part.text, parts)
          : undefined;
        if (home !== undefined) pieces.push(...home);
        else pieces.push({ kind: part.quoted ? "quoted" : "plain", text: part.text });
      } else for (const piece of await this.#expansion(part)) pieces.push(piece); // of any number
    }
    return pieces;
  }

  /** `~NAME` at the start of a word. */
  #leadingHome(text: string, parts: readonly Part[]): Piece[] | undefined {
    const slash = text.indexOf("/");
    if (!text.startsWith("~") || (slash < 0 && parts.length > 1)) return undefined;
    const end = slash < 0 ? text.length : slash;
    const home = this.#home(text.slice(0, end));
    if (home === undefined) return undefined;
    return [{ kind: "quoted", text: home }, { kind: "plain", text: text.slice(end) }];
  }

  #home(text: string): string | undefined {
    if (!text.startsWith("~")) return undefined;
    const slash = text.indexOf("/");
    const end = slash < 0 ? text.length : slash;
    const name = text.slice(1, end);
    const home = name === "" ? this.#session.variables.get("HOME") : homeOf(name);
    return home === undefined ? undefined : home + text.slice(end);
  }

  #expansion(part: Exclude<Part, { kind: "text" }>): Promise<Piece[]> {
    return match(part)
      .with({ kind: "variable" }, (variable) => this.#variable(variable))
      .with({ kind: "command" }, async ({ script, quoted }) => {
        const text = (await this.#capture(script)).replace(/\n+$/, "");
        return [piece(text, quoted)];
      })
      .with({ kind: "arithmetic" }, async ({ parts, quoted, span }) => {
        const text = await this.whole({ parts });
        try {
          return [piece(String(evaluateArithmetic(text, this.#session.variables)), quoted)];
        } catch (error) {
          throw new WordFailure(error, span, { fatal: true });
        }
      })
      .exhaustive();
  }

  async #variable(part: VariablePart): Promise<Piece[]> {
    const { name, quoted, operation, span } = part;
    const session = this.#session;
    const value = parameter(name, session);
    const missing = value === undefined || (operation?.colon === true && value === "");
    if (part.length === true) {
      const length = name === "@" || name === "*" ? session.words.length : [...value ?? ""].length;
      return [piece(String(length), quoted)];
    }
    const { operator, word = [] } = operation ?? {};
    switch (operator) {
      case "+":
        return missing ? this.#nothing(part) : await this.#operand(word, quoted);
      case "-":
        if (missing) return await this.#operand(word, quoted);
        break;
      case "=":
        if (missing) return await this.#assign(part, word);
        break;
      case "?":
        if (missing) {
          const text = await this.whole({ parts: word });
          throw new WordFailure(unset(name, text === "" ? undefined : text), span, { fatal: true });
        }
        break;
      case undefined:
        break;
      default:
        return [piece(trimmed(value ?? "", operator, await this.pattern({ parts: word })), quoted)];
    }
    if (value === undefined) {
      if (session.options.nounset && !"@*".includes(name)) {
        throw new WordFailure(unset(name), span, { fatal: true });
      }
      return this.#nothing(part);
    }
    if (name === "@" || name === "*") return this.#words(part);
    return [piece(value, quoted)];
  }

  /** Quotes make an empty word of nothing, but for `"$@"`. */
  #nothing({ name, quoted }: VariablePart): Piece[] {
    return quoted && name !== "@" ? [{ kind: "quoted", text: "" }] : [];
  }

  /** `$@` and `$*`: a field each, but for `"$*"`. */
  #words({ name, quoted }: VariablePart): Piece[] {
    if (quoted && name === "*") return [{ kind: "quoted", text: joined(this.#session) }];
    const text = name === "*" ? separator(this.#session) : " ";
    return this.#session.words.flatMap((word, i): Piece[] =>
      i === 0 ? [piece(word, quoted)] : [{ kind: "end", text }, piece(word, quoted)]
    );
  }

  /** The word of a `${NAME:-WORD}`, which is split like the value that it stands for. */
  async #operand(parts: readonly Part[], quoted: boolean): Promise<Piece[]> {
    const pieces = await this.#pieces(parts, !quoted);
    if (quoted) return pieces.length > 0 ? pieces : [{ kind: "quoted", text: "" }];
    return pieces.map((piece) => piece.kind === "plain" ? { ...piece, kind: "split" } : piece);
  }

  async #assign({ name, quoted, span }: VariablePart, word: readonly Part[]): Promise<Piece[]> {
    if (!/^[A-Za-z_]/.test(name)) {
      const error = new UsageError(`Cannot set $${name}`, {
        hint: "set -- WORD… sets the arguments",
      });
      throw new WordFailure(error, span, { fatal: true });
    }
    const text = await this.whole({ parts: word });
    this.#session.variables.set(name, text);
    return [piece(text, quoted)];
  }
}

function piece(text: string, quoted: boolean): Piece {
  return { kind: quoted ? "quoted" : "split", text };
}

function textOf(pieces: readonly Piece[]): string {
  return pieces.map(({ text }) => text).join("");
}
