/**
 * An error and the word that it is about.
 *
 * @module
 */
import type { Span } from "./syntax_error.ts";

/** What went wrong before a command ran. */
export class WordFailure extends Error {
  override readonly cause: unknown;
  readonly span: Span;
  /** The verb that refused the word. */
  readonly verb: string | undefined;
  /** A shell that nobody types at ends of it whatever comes behind, as sh does. */
  readonly fatal: boolean;

  /**
   * @param cause What is wrong
   * @param span Where it was written
   * @param options Whose word it is, and whether the shell ends of it
   */
  constructor(cause: unknown, span: Span, options: { verb?: string; fatal?: boolean } = {}) {
    super();
    this.cause = cause;
    this.span = span;
    this.verb = options.verb;
    this.fatal = options.fatal ?? false;
  }
}

/** A command that does not run, which has been said. */
export class Refusal {
  /** @param status Its exit status */
  constructor(readonly status: number) {}
}
