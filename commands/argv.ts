/**
 * From the words of a line to a verb's flags and arguments, by the verb's row in the table.
 *
 * @module
 */
import { UsageError } from "../ffi/errors.ts";
import { nearestWord } from "../vmm/nearest_word.ts";
import { parseValue } from "./argv_value.ts";
import type { Argument, Flag, Value, Verb, Words } from "./verb.ts";

/** The part of a verb that parsing looks at. */
export type Grammar = Pick<Verb, "name" | "flags" | "arguments" | "rest">;

/** A word that cannot be what it stands for, with its place, so that a caret can point at it. */
export class WordError extends UsageError {
  /** The words behind the verb's. */
  readonly words: readonly string[];
  /** Which of them; equal to their count if one is missing at the end. */
  readonly index: number;
  /** Where in that word, in UTF-16 units. */
  readonly offset: number;

  /**
   * @param message What is wrong, upper case first, no full stop
   * @param words The words behind the verb's
   * @param index Which of them
   * @param offset Where in that word
   * @param hint The next step
   */
  constructor(
    message: string,
    words: readonly string[],
    index: number,
    offset = 0,
    hint?: string,
  ) {
    super(message, hint === undefined ? {} : { hint });
    this.words = words;
    this.index = index;
    this.offset = offset;
  }
}

/** `-` and `-@0x1000` are values. */
const SHORT = /^-[A-Za-z0-9]/;

/** What a verb is given when its words are `--help` or `-h`. */
export const HELP = "help";

/**
 * Parses the words behind a verb's.
 *
 * Flags may stand before, between and behind the arguments: `--memory 1G`, `--memory=1G`, `-m 1G`,
 * `-m1G`, and switches of one letter together, `-dq`. `--` ends the flags. `-` alone is a value.
 *
 * @param verb Its grammar
 * @param argv The words
 * @returns Flags by long name, arguments by the letters that their names start with, in lower
 * case, what is behind `--` by the name of
 * `rest`; `help` is true if help was asked for
 * @throws {WordError} Naming the word at fault
 */
export function parseWords(verb: Grammar, argv: readonly string[]): Words {
  return new Parser(verb, argv).parse();
}

/** The key of an argument in {@linkcode Words}: `file` for `FILE[@ADDR]`. */
export function argumentKey(argument: Argument): string {
  return /^[A-Z-]+/i.exec(argument.name)![0].toLowerCase();
}

class Parser {
  readonly #verb: Grammar;
  readonly #argv: readonly string[];
  readonly #words: Record<string, Value> = {};
  readonly #positions: number[] = [];
  #index = 0;

  constructor(verb: Grammar, argv: readonly string[]) {
    this.#verb = verb;
    this.#argv = argv;
  }

  parse(): Words {
    const { arguments: named } = this.#verb;
    const raw = named.at(-1)?.raw === true ? named.length - 1 : Infinity;
    while (this.#index < this.#argv.length) {
      const word = this.#argv[this.#index]!;
      if (this.#positions.length >= raw) {
        this.#positions.push(this.#index++);
        continue;
      }
      if (word === "--") {
        this.#behindDashes();
        break;
      }
      if (word.startsWith("--")) this.#long(word);
      else if (SHORT.test(word)) this.#short(word);
      else this.#positions.push(this.#index);
      if (this.#words[HELP] === true) return this.#words;
      this.#index++;
    }
    this.#fillArguments();
    return this.#words;
  }

  #behindDashes(): void {
    const { rest } = this.#verb;
    const first = this.#index + 1;
    if (rest === undefined) {
      for (let i = first; i < this.#argv.length; i++) this.#positions.push(i);
      return;
    }
    if (first === this.#argv.length) {
      throw new WordError(`There is no ${rest.name} behind --`, this.#argv, first);
    }
    this.#words[argumentKey(rest)] = this.#argv.slice(first);
  }

  #long(word: string): void {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
    const flag = this.#flag(name);
    if (flag === undefined) {
      if (name === HELP) this.#words[HELP] = true;
      else this.#unknown(`--${name}`, Object.keys(this.#verb.flags).map((flag) => `--${flag}`));
      return;
    }
    if (equals < 0) this.#take(name, flag, undefined, 0);
    else if (flag.value === undefined) {
      throw new WordError(`--${name} takes no value`, this.#argv, this.#index, equals);
    } else this.#take(name, flag, word.slice(equals + 1), equals + 1);
  }

  #short(word: string): void {
    for (let at = 1; at < word.length; at++) {
      const letter = word[at]!;
      const found = Object.entries(this.#verb.flags).find(([, flag]) => flag.short === letter);
      if (found === undefined) {
        if (letter !== "h") this.#unknown(`-${letter}`, [], at);
        this.#words[HELP] = true;
        return;
      }
      const [name, flag] = found;
      if (flag.value === undefined) {
        this.#words[name] = true;
      } else {
        const attached = word.slice(at + 1);
        return this.#take(name, flag, attached === "" ? undefined : attached, at + 1);
      }
    }
  }

  #flag(name: string): Flag | undefined {
    return Object.hasOwn(this.#verb.flags, name) ? this.#verb.flags[name] : undefined;
  }

  #take(name: string, flag: Flag, attached: string | undefined, offset: number): void {
    if (flag.value === undefined) {
      this.#words[name] = true;
      return;
    }
    let text = attached;
    if (text === undefined) {
      this.#index++;
      offset = 0;
      text = this.#argv[this.#index];
      if (text === undefined) {
        const what = flag.metavar ?? "value";
        throw new WordError(`--${name} needs a ${what}`, this.#argv, this.#index);
      }
    }
    const value = this.#value(text, flag, this.#index, offset, `--${name}`);
    if (flag.repeat === true) {
      this.#words[name] = [...(this.#words[name] as readonly (string | number)[] ?? []), value];
    } else this.#words[name] = value;
  }

  #value(
    text: string,
    { value: kind }: Flag | Argument,
    index: number,
    offset: number,
    what: string,
  ): string | number {
    try {
      return parseValue(text, kind!);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const near = Array.isArray(kind) ? nearestWord(text, kind) : undefined;
      throw new WordError(
        `${what}: ${error.message}`,
        this.#argv,
        index,
        offset,
        near === undefined ? undefined : `did you mean ${near}?`,
      );
    }
  }

  #fillArguments(): void {
    const positions = this.#positions;
    let next = 0;
    for (const argument of this.#verb.arguments) {
      const count = argument.repeat === true ? positions.length - next : 1;
      const taken = positions.slice(next, next + count);
      next += taken.length;
      if (taken.length === 0) {
        if (argument.optional === true) continue;
        throw new WordError(`${argument.name} is missing`, this.#argv, this.#argv.length);
      }
      const values = taken.map((index) =>
        this.#value(this.#argv[index]!, argument, index, 0, argument.name)
      );
      this.#words[argumentKey(argument)] = argument.repeat === true ? values : values[0]!;
    }
    const left = positions[next];
    if (left !== undefined) {
      throw new WordError(`"${this.#argv[left]}" is one word too many`, this.#argv, left);
    }
  }

  #unknown(flag: string, known: readonly string[], offset = 0): never {
    const near = nearestWord(flag, known);
    throw new WordError(
      `There is no flag ${flag}`,
      this.#argv,
      this.#index,
      offset,
      near === undefined ? `hvsh ${this.#verb.name} --help` : `did you mean ${near}?`,
    );
  }
}
