/**
 * The numbers of `$((…))` (POSIX.1-2017 XCU 2.6.4): C's operators on signed 64-bit integers.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";

/** Where names have their values. */
export interface ArithmeticVariables {
  get(name: string): string | undefined;
  set(name: string, value: string): void;
}

const TOKEN =
  /\s*(?:(0[xX][0-9a-fA-F]+|[0-9]+)|([A-Za-z_][A-Za-z0-9_]*)|(<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%<>=&|^!~?:()]))/y;
/** Binary operators by how tightly they bind. */
const BINDING: Readonly<Record<string, number>> = {
  "||": 1,
  "&&": 2,
  "|": 3,
  "^": 4,
  "&": 5,
  "==": 6,
  "!=": 6,
  "<": 7,
  "<=": 7,
  ">": 7,
  ">=": 7,
  "<<": 8,
  ">>": 8,
  "+": 9,
  "-": 9,
  "*": 10,
  "/": 10,
  "%": 10,
};
const ASSIGNMENT = /^(?:[-+*/%&|^]|<<|>>)?=$/;
const MOST_DEPTH = 200;
const BITS = 64;

/**
 * Works out an expression.
 *
 * @param text The expression
 * @param variables Where names have their values
 * @returns The number
 * @throws {UsageError} If it is no expression, or divides by zero
 */
export function evaluateArithmetic(text: string, variables: ArithmeticVariables): bigint {
  const expression = new Expression(text, variables);
  return expression.whole();
}

type Value = { readonly number: bigint; readonly name?: string };

class Expression {
  readonly #text: string;
  readonly #variables: ArithmeticVariables;
  #at = 0;
  #token: string | undefined;
  #kind: "number" | "name" | "operator" | "end" = "end";
  #depth = 0;
  /** Above 0 in what is not to be worked out, behind `0 &&` for one. */
  #skipping = 0;

  constructor(text: string, variables: ArithmeticVariables) {
    this.#text = text;
    this.#variables = variables;
    this.#advance();
  }

  whole(): bigint {
    if (this.#kind === "end") return 0n;
    const { number } = this.#conditional();
    if (this.#token !== undefined) throw this.#wrong(`\`${this.#token}\` cannot stand there`);
    return number;
  }

  #advance(): void {
    TOKEN.lastIndex = this.#at;
    const match = TOKEN.exec(this.#text);
    if (match === null) {
      const rest = this.#text.slice(this.#at).trim();
      if (rest !== "") throw this.#wrong(`\`${rest[0]}\` cannot stand there`);
      this.#token = undefined;
      this.#kind = "end";
      return;
    }
    const [all, number, name, operator] = match;
    this.#at += all.length;
    this.#token = number ?? name ?? operator;
    this.#kind = number !== undefined ? "number" : name !== undefined ? "name" : "operator";
  }

  #isOperator(operator: string): boolean {
    return this.#kind === "operator" && this.#token === operator;
  }

  #take(operator: string): boolean {
    if (!this.#isOperator(operator)) return false;
    this.#advance();
    return true;
  }

  #conditional(): Value {
    const condition = this.#binary(1);
    if (this.#kind === "operator" && ASSIGNMENT.test(this.#token!)) return this.#assign(condition);
    if (!this.#take("?")) return condition;
    const chosen = condition.number !== 0n;
    const yes = this.#skippedUnless(chosen, () => this.#conditional());
    if (!this.#take(":")) throw this.#wrong("`:` is missing");
    const no = this.#skippedUnless(!chosen, () => this.#conditional());
    return { number: chosen ? yes.number : no.number };
  }

  #assign({ name, number }: Value): Value {
    const operator = this.#token!.slice(0, -1);
    if (name === undefined) throw this.#wrong("only a variable can be set");
    this.#advance();
    const value = this.#nested(() => this.#conditional()).number;
    const result = operator === "" ? value : this.#compute(operator, number, value);
    if (this.#skipping === 0) this.#variables.set(name, String(result));
    return { number: result };
  }

  #skippedUnless<T>(wanted: boolean, read: () => T): T {
    if (!wanted) this.#skipping++;
    const result = this.#nested(read);
    if (!wanted) this.#skipping--;
    return result;
  }

  #binary(least: number): Value {
    let left = this.#unary();
    for (;;) {
      const operator = this.#token;
      const binding = this.#kind === "operator" ? BINDING[operator!] : undefined;
      if (binding === undefined || binding < least) return left;
      this.#advance();
      const { number } = left;
      if (operator === "&&" || operator === "||") {
        const open = (operator === "&&") === (number !== 0n);
        const right = this.#skippedUnless(open, () => this.#binary(binding + 1)).number;
        const truth = operator === "&&"
          ? number !== 0n && right !== 0n
          : number !== 0n || right !== 0n;
        left = { number: truth ? 1n : 0n };
      } else {
        left = { number: this.#compute(operator!, number, this.#binary(binding + 1).number) };
      }
    }
  }

  #unary(): Value {
    for (const operator of ["+", "-", "!", "~"] as const) {
      if (!this.#take(operator)) continue;
      const { number } = this.#nested(() => this.#unary());
      switch (operator) {
        case "+":
          return { number };
        case "-":
          return { number: wrapped(-number) };
        case "~":
          return { number: ~number };
        default:
          return { number: number === 0n ? 1n : 0n };
      }
    }
    return this.#primary();
  }

  #primary(): Value {
    const token = this.#token;
    if (this.#kind === "number") {
      this.#advance();
      return { number: this.#number(token!) };
    }
    if (this.#kind === "name") {
      this.#advance();
      // What it was is of no concern to what sets it.
      const set = this.#isOperator("=");
      return { number: set ? 0n : this.#value(token!), name: token! };
    }
    if (!this.#take("(")) {
      throw this.#wrong(
        token === undefined ? "a number is missing" : `\`${token}\` cannot stand there`,
      );
    }
    const inner = this.#nested(() => this.#conditional());
    if (!this.#take(")")) throw this.#wrong("`)` is missing");
    return { number: inner.number };
  }

  #nested<T>(read: () => T): T {
    if (this.#depth >= MOST_DEPTH) throw this.#wrong("it is nested too deep");
    this.#depth++;
    const result = read();
    this.#depth--;
    return result;
  }

  #number(token: string): bigint {
    const octal = /^0[0-9]+$/.test(token);
    if (octal && /[89]/.test(token)) throw this.#wrong(`\`${token}\` is no octal number`);
    return wrapped(BigInt(octal ? `0o${token}` : token));
  }

  #value(name: string): bigint {
    const text = (this.#variables.get(name) ?? "").trim();
    if (text === "") return 0n;
    const [, sign, digits] = /^([-+]?)(0[xX][0-9a-fA-F]+|[0-9]+)$/.exec(text) ?? [];
    if (digits === undefined) {
      if (this.#skipping > 0) return 0n;
      throw this.#wrong(`${name} is "${text}", which is no number`);
    }
    const number = this.#number(digits);
    return sign === "-" ? -number : number;
  }

  #compute(operator: string, a: bigint, b: bigint): bigint {
    switch (operator) {
      case "+":
        return wrapped(a + b);
      case "-":
        return wrapped(a - b);
      case "*":
        return wrapped(a * b);
      case "/":
      case "%":
        if (b === 0n) {
          if (this.#skipping > 0) return 0n;
          throw this.#wrong("it divides by zero");
        }
        return wrapped(operator === "/" ? a / b : a % b);
      case "<<":
        return wrapped(a << (b & 63n));
      case ">>":
        return a >> (b & 63n);
      case "&":
        return a & b;
      case "|":
        return a | b;
      case "^":
        return a ^ b;
      default:
        return compare(operator, a, b) ? 1n : 0n;
    }
  }

  #wrong(what: string): UsageError {
    return new UsageError(`Cannot work out \`${this.#text.trim()}\`: ${what}`);
  }
}

function compare(operator: string, a: bigint, b: bigint): boolean {
  switch (operator) {
    case "==":
      return a === b;
    case "!=":
      return a !== b;
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    default:
      return a >= b;
  }
}

function wrapped(number: bigint): bigint {
  return BigInt.asIntN(BITS, number);
}
