/**
 * Reads `${…}` (POSIX.1-2017 XCU 2.6.2).
 *
 * @module
 */
import { ShellSyntaxError } from "./syntax_error.ts";
import type { Operation, VariablePart } from "./tree.ts";
import { unclosed, type WordReader } from "./word_reader.ts";

const OPERATORS = ["##", "%%", "#", "%", "-", "=", "?", "+"] as const;
const DIGITS = /[0-9]+/y;

/**
 * Reads one whose `{` the cursor stands at.
 *
 * @param reader Reads the words in it
 * @param start Where its `$` is
 * @param quoted Whether it stands between double quotes
 * @returns The part
 * @throws {ShellSyntaxError} If it is none
 */
export function readBraces(reader: WordReader, start: number, quoted: boolean): VariablePart {
  const { cursor } = reader;
  cursor.at++;
  const length = cursor.character === "#" && !/[}#%:=?+-]/.test(cursor.source[cursor.at + 1] ?? "");
  if (length) cursor.at++;
  const name = parameter(reader);
  if (cursor.character === undefined) throw unclosed(start, "${");
  if (name === undefined) throw noParameter(start, cursor.at);
  const operation = length || cursor.character === "}"
    ? undefined
    : cursor.nested(() => readOperation(reader, start, quoted));
  if (cursor.character === undefined) throw unclosed(start, "${");
  if (cursor.character !== "}") throw noParameter(start, cursor.at);
  cursor.at++;
  return {
    kind: "variable",
    name,
    quoted,
    ...(length ? { length } : {}),
    ...(operation === undefined ? {} : { operation }),
    span: { start, end: cursor.at },
  };
}

function parameter(reader: WordReader): string | undefined {
  const { cursor } = reader;
  const name = reader.name();
  if (name !== undefined) return name;
  DIGITS.lastIndex = cursor.at;
  const digits = DIGITS.exec(cursor.source)?.[0];
  if (digits !== undefined) {
    cursor.at += digits.length;
    return String(Number(digits));
  }
  const special = cursor.character;
  if (special === undefined || !"?!#@*$-".includes(special)) return undefined;
  cursor.at++;
  return special;
}

function readOperation(reader: WordReader, start: number, quoted: boolean): Operation {
  const { cursor } = reader;
  const colon = cursor.character === ":";
  if (colon) cursor.at++;
  if (cursor.character === undefined) throw unclosed(start, "${");
  const operator = OPERATORS.find((operator) => cursor.startsWith(operator));
  const trims = operator !== undefined && /[#%]/.test(operator);
  if (operator === undefined || (colon && trims)) throw noParameter(start, cursor.at);
  cursor.at += operator.length;
  // A pattern is read as if no quotes were around it: quotes in it say what is no pattern.
  const place = quoted && !trims ? "quoted braces" : "braces";
  const word = reader.parts(place, (character) => character === "}");
  return { operator, colon, word };
}

function noParameter(start: number, end: number): ShellSyntaxError {
  return new ShellSyntaxError(
    "Expected `${NAME}`, or one of - = ? + # % behind the name",
    { start, end: end + 1 },
    { hint: "quote it to mean the characters: '${'" },
  );
}
