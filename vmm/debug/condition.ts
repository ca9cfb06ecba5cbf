/**
 * Conditions of breakpoints: C's operators over registers, numbers and memory.
 *
 *     rax == 5 && u8[rdi + 1] != 0x20
 *
 * Values are 64 bits without a sign. Lowest to highest: `||`, `&&`, `|`, `^`, `&`, `== !=`,
 * `< <= > >=`, `<< >>`, `+ -`, `* / %`, then `! ~ -` in front. `u8[A]` to `u64[A]` is memory at a linear
 * address, `[A]` is `u64[A]`. A name that is no register is a symbol.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";

/** What a condition is about. */
export interface ConditionScope {
  /** A register's value by its name; undefined if there is no such register. */
  register(name: string): bigint | undefined;
  /**
   * Memory at a linear address.
   *
   * @throws {GuestError} If nothing is mapped there
   */
  memory(address: bigint, bytes: number): bigint;
}

/** A condition that has been read. */
export interface Condition {
  /** As it was written. */
  readonly text: string;
  /**
   * Its value.
   *
   * @throws {GuestError} If it looks at memory that is not there
   */
  evaluate(scope: ConditionScope): bigint;
}

type Node = (scope: ConditionScope) => bigint;

/** Nested deeper is nobody's condition. */
const MOST_DEPTH = 64;
const MOST_LENGTH = 1024;
const WIDTHS: Readonly<Record<string, number>> = { u8: 1, u16: 2, u32: 4, u64: 8 };

const TOKEN =
  /\s*(?:(0x[0-9a-f]+|\d+)|([a-z_][\w.$]*)|(\|\||&&|==|!=|<=|>=|<<|>>|[-+*/%&|^<>!~()[\]]))/iy;

const wrap = (value: bigint) => BigInt.asUintN(64, value);
const truth = (value: boolean) => value ? 1n : 0n;

/** Binary operators, those that bind least first. */
const LEVELS: readonly Readonly<Record<string, (a: bigint, b: bigint) => bigint>>[] = [
  { "|": (a, b) => a | b },
  { "^": (a, b) => a ^ b },
  { "&": (a, b) => a & b },
  { "==": (a, b) => truth(a === b), "!=": (a, b) => truth(a !== b) },
  {
    "<": (a, b) => truth(a < b),
    "<=": (a, b) => truth(a <= b),
    ">": (a, b) => truth(a > b),
    ">=": (a, b) => truth(a >= b),
  },
  // A count above 63 shifts everything out; as a count of BigInt it would take all memory.
  { "<<": (a, b) => b > 63n ? 0n : wrap(a << b), ">>": (a, b) => b > 63n ? 0n : a >> b },
  { "+": (a, b) => wrap(a + b), "-": (a, b) => wrap(a - b) },
  {
    "*": (a, b) => wrap(a * b),
    "/": (a, b) => b === 0n ? 0n : a / b,
    "%": (a, b) => b === 0n ? 0n : a % b,
  },
];

/**
 * Reads a condition.
 *
 * @param text The condition
 * @param isRegister Tells registers from symbols
 * @param symbol A symbol's address; undefined if there is none
 * @returns The condition
 * @throws {UsageError} Saying where it makes no sense
 */
export function parseCondition(
  text: string,
  isRegister: (name: string) => boolean,
  symbol: (name: string) => bigint | undefined = () => undefined,
): Condition {
  if (text.length > MOST_LENGTH) {
    throw new UsageError("The condition is longer than 1024 characters");
  }
  const node = new Parser(text, isRegister, symbol).parse();
  return { text, evaluate: node };
}

class Parser {
  readonly #text: string;
  readonly #isRegister: (name: string) => boolean;
  readonly #symbol: (name: string) => bigint | undefined;
  /** The token that is looked at, and where it and the next one start. */
  #token: { number?: string; name?: string; sign?: string } = {};
  #at = 0;
  #next = 0;
  #depth = 0;

  constructor(
    text: string,
    isRegister: (name: string) => boolean,
    symbol: (name: string) => bigint | undefined,
  ) {
    this.#text = text;
    this.#isRegister = isRegister;
    this.#symbol = symbol;
    this.#advance();
  }

  parse(): Node {
    const node = this.#or();
    if (this.#at < this.#text.length) this.#fail("an operator or the end");
    return node;
  }

  #advance(): void {
    while (/\s/.test(this.#text[this.#next] ?? "")) this.#next++;
    this.#at = this.#next;
    this.#token = {};
    if (this.#at === this.#text.length) return;
    TOKEN.lastIndex = this.#at;
    const match = TOKEN.exec(this.#text);
    if (match === null) this.#fail("a number, a name or an operator");
    const [all, number, name, sign] = match!;
    this.#next += all.length;
    this.#token = {
      ...(number === undefined ? {} : { number }),
      ...(name === undefined ? {} : { name }),
      ...(sign === undefined ? {} : { sign }),
    };
  }

  #fail(wanted: string): never {
    const found = this.#at < this.#text.length ? `"${this.#text.slice(this.#at)}"` : "the end";
    throw new UsageError(
      `Cannot parse the condition "${this.#text}": at ${found} ${wanted} is due`,
    );
  }

  #take(sign: string): boolean {
    if (this.#token.sign !== sign) return false;
    this.#advance();
    return true;
  }

  #require(sign: string): void {
    if (!this.#take(sign)) this.#fail(`"${sign}"`);
  }

  #or(): Node {
    if (++this.#depth > MOST_DEPTH) throw new UsageError("The condition is nested too deep");
    let left = this.#and();
    while (this.#take("||")) {
      const [a, b] = [left, this.#and()];
      left = (scope) => a(scope) !== 0n ? 1n : truth(b(scope) !== 0n);
    }
    this.#depth--;
    return left;
  }

  #and(): Node {
    let left = this.#binary(0);
    while (this.#take("&&")) {
      const [a, b] = [left, this.#binary(0)];
      left = (scope) => a(scope) === 0n ? 0n : truth(b(scope) !== 0n);
    }
    return left;
  }

  #binary(level: number): Node {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    for (;;) {
      const { sign } = this.#token;
      if (sign === undefined || !Object.hasOwn(operators, sign)) return left;
      this.#advance();
      const [a, b, operate] = [left, this.#binary(level + 1), operators[sign]!];
      left = (scope) => operate(a(scope), b(scope));
    }
  }

  #unary(): Node {
    const signs: string[] = [];
    while (["!", "~", "-"].includes(this.#token.sign ?? "")) {
      signs.push(this.#token.sign!);
      this.#advance();
    }
    const operand = this.#primary();
    if (signs.length === 0) return operand;
    return (scope) =>
      signs.reduceRight((value, sign) => {
        if (sign === "!") return truth(value === 0n);
        return wrap(sign === "~" ? ~value : -value);
      }, operand(scope));
  }

  #primary(): Node {
    const { number, name, sign } = this.#token;
    if (number !== undefined) {
      const value = BigInt(number);
      if (value !== wrap(value)) this.#fail("a number of 64 bits");
      this.#advance();
      return () => value;
    }
    if (sign === "[") return this.#memory(8);
    if (name !== undefined) {
      const width = Object.hasOwn(WIDTHS, name) ? WIDTHS[name] : undefined;
      if (width !== undefined) {
        this.#advance();
        return this.#memory(width);
      }
      return this.#named(name);
    }
    if (!this.#take("(")) this.#fail("a value");
    const inner = this.#or();
    this.#require(")");
    return inner;
  }

  #named(name: string): Node {
    if (this.#isRegister(name)) {
      this.#advance();
      return (scope) => scope.register(name) ?? 0n;
    }
    const address = this.#symbol(name);
    if (address === undefined) this.#fail("a register or a symbol");
    this.#advance();
    return () => address!;
  }

  #memory(width: number): Node {
    this.#require("[");
    const address = this.#or();
    this.#require("]");
    return (scope) => scope.memory(address(scope), width);
  }
}
