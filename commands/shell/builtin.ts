/**
 * What a word of the shell's own is.
 *
 * @module
 */
import type { Origin } from "./complaint.ts";
import type { Session } from "./session.ts";
import type { StageContext } from "./verb_context.ts";
import type { Streams } from "./streams.ts";

/** Where a built-in runs. */
export interface BuiltinPlace {
  readonly session: Session;
  readonly context: StageContext;
  /** Its descriptors. */
  readonly streams: Streams;
  /** Where it was written. */
  readonly origin: Origin;
  /**
   * Runs a text in this shell.
   *
   * @param text Lines
   * @param name The file that they are from
   * @returns The exit status
   */
  evaluate(text: string, name?: string): Promise<number>;
  /**
   * Runs words as a command, functions left out.
   *
   * @param words The command and its words
   * @param programOnly Whether it is a program of the host
   * @returns The exit status
   */
  command(words: readonly string[], programOnly: boolean): Promise<number>;
  /** Makes the built-in's redirections the shell's own. */
  keepStreams(): void;
  /** Whether a word is a built-in. */
  isBuiltin(name: string): boolean;
}

/** A word of the shell's own. */
export interface Builtin {
  /** What stands behind the word, for help. */
  readonly usage: string;
  /** One line. */
  readonly summary: string;
  /** Not among those that help lists: host programs do the same. */
  readonly plain?: boolean;
  /** Whether words are for it and not for the verb of the same name. */
  accepts?(words: readonly string[], session: Session): boolean;
  run(words: readonly string[], place: BuiltinPlace): Promise<number> | number;
}
