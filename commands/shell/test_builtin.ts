/**
 * `test`: comparisons and questions about files (POSIX.1-2017 XCU, test).
 *
 *     or    := and ("-o" and)*
 *     and   := not ("-a" not)*
 *     not   := "!" not | "(" or ")" | UNARY word | word BINARY word | word
 *
 * @module
 */
import { resolve } from "node:path";
import { UsageError } from "../../ffi/errors.ts";
import type { Streams } from "./streams.ts";

const MOST_DEPTH = 100;
const R_OK = 0o444;
const W_OK = 0o222;
const X_OK = 0o111;

const FILES: Readonly<Record<string, (info: Deno.FileInfo) => boolean>> = {
  "-e": () => true,
  "-f": (info) => info.isFile,
  "-d": (info) => info.isDirectory,
  "-s": (info) => info.size > 0,
  "-b": (info) => info.isBlockDevice === true,
  "-c": (info) => info.isCharDevice === true,
  "-p": (info) => info.isFifo === true,
  "-S": (info) => info.isSocket === true,
  "-g": (info) => ((info.mode ?? 0) & 0o2000) !== 0,
  "-u": (info) => ((info.mode ?? 0) & 0o4000) !== 0,
  "-k": (info) => ((info.mode ?? 0) & 0o1000) !== 0,
  "-O": (info) => info.uid === Deno.uid(),
  "-G": (info) => info.gid === Deno.gid(),
  "-r": (info) => may(info, R_OK),
  "-w": (info) => may(info, W_OK),
  "-x": (info) => may(info, X_OK),
};

const TEXTS: Readonly<Record<string, (a: string, b: string) => boolean>> = {
  "=": (a, b) => a === b,
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  ">": (a, b) => a > b,
};

const NUMBERS: Readonly<Record<string, (a: bigint, b: bigint) => boolean>> = {
  "-eq": (a, b) => a === b,
  "-ne": (a, b) => a !== b,
  "-lt": (a, b) => a < b,
  "-le": (a, b) => a <= b,
  "-gt": (a, b) => a > b,
  "-ge": (a, b) => a >= b,
};

/**
 * Answers a test.
 *
 * @param words The expression
 * @param cwd Where relative paths start
 * @param streams What `-t` asks about
 * @param bracket Whether `]` has to end it
 * @returns The answer
 * @throws {UsageError} If it is no expression
 */
export function test(
  words: readonly string[],
  cwd: string,
  streams: Streams,
  bracket = false,
): boolean {
  if (bracket && words.at(-1) !== "]") {
    throw new UsageError("`[` wants a `]` at its end", { hint: "[ A = B ]" });
  }
  const expression = bracket ? words.slice(0, -1) : words;
  return new Test(expression, cwd, streams).answer();
}

class Test {
  readonly #words: readonly string[];
  readonly #cwd: string;
  readonly #streams: Streams;
  #at = 0;
  #depth = 0;

  constructor(words: readonly string[], cwd: string, streams: Streams) {
    this.#words = words;
    this.#cwd = cwd;
    this.#streams = streams;
  }

  answer(): boolean {
    if (this.#words.length === 0) return false;
    const answer = this.#or();
    if (this.#at < this.#words.length) {
      throw this.#wrong(`"${this.#words[this.#at]}" cannot stand there`);
    }
    return answer;
  }

  #or(): boolean {
    let answer = this.#and();
    while (this.#words[this.#at] === "-o") {
      this.#at++;
      answer = this.#and() || answer;
    }
    return answer;
  }

  #and(): boolean {
    let answer = this.#not();
    while (this.#words[this.#at] === "-a") {
      this.#at++;
      answer = this.#not() && answer;
    }
    return answer;
  }

  #not(): boolean {
    if (++this.#depth > MOST_DEPTH) throw this.#wrong("it is nested too deep");
    try {
      return this.#primary();
    } finally {
      this.#depth--;
    }
  }

  #primary(): boolean {
    const [word, operator, other] = this.#words.slice(this.#at);
    if (word === undefined) throw this.#wrong("a word is missing");
    // What two words stand around compares them, whatever they are.
    if (other !== undefined && isBinary(operator!)) {
      this.#at += 3;
      return this.#binary(word, operator!, other);
    }
    this.#at++;
    if (word === "!" && operator !== undefined) return !this.#not();
    if (word === "(" && operator !== undefined) {
      const answer = this.#or();
      if (this.#words[this.#at++] !== ")") throw this.#wrong("`)` is missing");
      return answer;
    }
    if (operator === undefined || !/^-[a-zA-Z]$/.test(word)) return word !== "";
    return this.#unary(word, operator);
  }

  #unary(operator: string, word: string): boolean {
    if (operator === "-a" || operator === "-o") return true;
    this.#at++;
    if (operator === "-n") return word !== "";
    if (operator === "-z") return word === "";
    if (operator === "-t") return this.#streams.isTerminal(Number(this.#number(word)));
    const path = resolve(this.#cwd, word);
    if (operator === "-h" || operator === "-L") {
      return stat(path, Deno.lstatSync)?.isSymlink === true;
    }
    const ask = Object.hasOwn(FILES, operator) ? FILES[operator] : undefined;
    if (ask === undefined) throw this.#wrong(`there is no ${operator}`);
    const info = word === "" ? undefined : stat(path, Deno.statSync);
    return info !== undefined && ask(info);
  }

  #binary(a: string, operator: string, b: string): boolean {
    const text = TEXTS[operator];
    if (text !== undefined) return text(a, b);
    const compare = NUMBERS[operator];
    if (compare !== undefined) return compare(this.#number(a), this.#number(b));
    const [one, two] = [a, b].map((word) => stat(resolve(this.#cwd, word), Deno.statSync));
    if (operator === "-ef") return one !== undefined && one.dev === two?.dev && one.ino === two.ino;
    const [first, second] = [one, two].map((info) => info?.mtime?.getTime() ?? -1);
    return operator === "-nt" ? first! > second! : first! < second!;
  }

  #number(word: string): bigint {
    if (/^\s*[-+]?[0-9]+\s*$/.test(word)) return BigInt(word.trim().replace(/^\+/, ""));
    throw this.#wrong(`"${word}" is no number`);
  }

  #wrong(what: string): UsageError {
    return new UsageError(`Cannot answer \`${this.#words.join(" ")}\`: ${what}`);
  }
}

function isBinary(word: string): boolean {
  return Object.hasOwn(TEXTS, word) || Object.hasOwn(NUMBERS, word) || /^-(nt|ot|ef)$/.test(word);
}

function stat(path: string, look: (path: string) => Deno.FileInfo): Deno.FileInfo | undefined {
  try {
    return look(path);
  } catch {
    return undefined;
  }
}

/** Whether this user may do something with a file, as its mode has it; root may all but run it. */
function may({ mode, uid, gid }: Deno.FileInfo, bits: number): boolean {
  const shown = mode ?? 0;
  if (Deno.uid() === 0) return bits !== X_OK || (shown & X_OK) !== 0;
  const mine = uid === Deno.uid() ? 0o700 : gid === Deno.gid() ? 0o070 : 0o007;
  return (shown & bits & mine) !== 0;
}
