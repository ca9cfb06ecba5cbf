/**
 * Where a word stands in a line, and the error that points at it with a caret.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";

/** A stretch of source text: offsets in UTF-16 units, `end` is the first one behind it. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A place as a person counts it, both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/**
 * Finds the line and column of an offset.
 *
 * @param source The whole text
 * @param offset Offset in UTF-16 units
 * @returns Line and column, both from 1
 * @example
 * ```ts
 * import { locate } from "./syntax_error.ts";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(locate("create\n| run", 9), { line: 2, column: 3 });
 * ```
 */
export function locate(source: string, offset: number): Place {
  const before = source.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  let line = 1;
  for (let i = before.indexOf("\n"); i !== -1; i = before.indexOf("\n", i + 1)) line++;
  return { line, column: [...before.slice(lineStart)].length + 1 };
}

/** What a syntax error may carry beside its message and place. */
export interface ShellSyntaxErrorOptions {
  /** The next step for the reader. */
  hint?: string;
  /** More text could still make the line whole, so an interactive shell asks for it. */
  incomplete?: boolean;
}

/** A line that the shell cannot understand. */
export class ShellSyntaxError extends UsageError {
  /** The text at fault. */
  readonly span: Span;
  /** More text could still make the line whole. */
  readonly incomplete: boolean;

  /**
   * @param message What is wrong, upper case first, no full stop
   * @param span The text at fault
   * @param options The next step, and whether more text could mend it
   */
  constructor(message: string, span: Span, options: ShellSyntaxErrorOptions = {}) {
    super(message, options.hint === undefined ? {} : { hint: options.hint });
    this.span = span;
    this.incomplete = options.incomplete ?? false;
  }
}
