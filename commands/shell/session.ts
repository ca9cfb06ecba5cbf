/**
 * What one run of the shell knows from line to line.
 *
 * @module
 */
import type { PersonTerminal, Verb } from "../verb.ts";
import type { Output } from "./channel.ts";
import { Variables } from "./variables.ts";

/** Where the shell finds its verbs; the table of commands/table.ts, or a test's own. */
export interface VerbSource {
  readonly names: readonly string[];
  load(name: string): Promise<Verb | undefined>;
}

/** What a session is made of. */
export interface SessionOptions {
  readonly verbs: VerbSource;
  /** Where lines write. */
  readonly output: Output;
  /** Takes one line for the person. */
  note(text: string): void;
  /** A person types the lines: the shell goes on after an error, programs read the terminal. */
  readonly interactive: boolean;
  /** The terminal that a person types them at, for a guest's console. */
  readonly terminal?: PersonTerminal;
  /** The lines of the past, the oldest first. */
  readonly history?: readonly string[];
}

/** A run of the shell. */
export class Session {
  readonly verbs: VerbSource;
  readonly output: Output;
  readonly note: (text: string) => void;
  readonly interactive: boolean;
  readonly terminal: PersonTerminal | undefined;
  readonly history: readonly string[];
  readonly variables = new Variables();
  /** The exit status of the line before, `$?`. */
  status = 0;
  /** Set once the shell is to end: its exit status. */
  leaving: number | undefined;

  /** @param options What it is made of */
  constructor(options: SessionOptions) {
    this.verbs = options.verbs;
    this.output = options.output;
    this.note = (text) => options.note(text);
    this.interactive = options.interactive;
    this.terminal = options.terminal;
    this.history = options.history ?? [];
  }

  /** The folder the shell is in. */
  get cwd(): string {
    return Deno.cwd();
  }
}
