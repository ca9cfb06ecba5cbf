/**
 * What one run of the shell knows from line to line.
 *
 * @module
 */
import { writeNow } from "../../ffi/descriptor_io.ts";
import type { PersonTerminal, Verb } from "../verb.ts";
import type { Origin } from "./complaint.ts";
import { Jobs } from "./jobs.ts";
import { OpenFiles } from "./open_files.ts";
import { ShellFolder } from "./shell_folder.ts";
import type { Streams } from "./streams.ts";
import type { CompoundCommand } from "./tree.ts";
import { Variables } from "./variables.ts";

/** Where the shell finds its verbs; the table of commands/table.ts, or a test's own. */
export interface VerbSource {
  readonly names: readonly string[];
  load(name: string): Promise<Verb | undefined>;
  /** The names of live VMs. */
  vms(): Promise<readonly string[]>;
}

/** What a session is made of. */
export interface SessionOptions {
  readonly verbs: VerbSource;
  /** Where lines read and write. */
  readonly streams: Streams;
  /** Shows lines above the one that a person types; stderr takes them if left out. */
  readonly tell?: (text: string) => void;
  /** A person types the lines: the shell goes on after an error, programs read the terminal. */
  readonly interactive: boolean;
  /** The terminal that a person types them at, for a guest's console. */
  readonly terminal?: PersonTerminal;
  /** The lines of the past, the oldest first. */
  readonly history?: readonly string[];
  /** `$0` and what is behind it. */
  readonly name?: string;
  readonly words?: readonly string[];
}

/** A function, and the text that it was defined in. */
export interface ShellFunction {
  readonly body: CompoundCommand;
  readonly origin: Origin;
}

/** What `set` switches. */
export interface ShellOptions {
  /** `-e`: the first failure ends the shell. */
  errexit: boolean;
  /** `-u`: a variable without a value is an error. */
  nounset: boolean;
  /** `-x`: each command is shown before it runs. */
  xtrace: boolean;
  /** `-f`: patterns are no names of files. */
  noglob: boolean;
}

/** A run of the shell, or of a subshell of it. */
export class Session {
  readonly verbs: VerbSource;
  readonly interactive: boolean;
  readonly terminal: PersonTerminal | undefined;
  readonly history: readonly string[];
  readonly variables: Variables;
  readonly folder: ShellFolder;
  readonly functions: Map<string, ShellFunction>;
  readonly options: ShellOptions;
  readonly jobs: Jobs = new Jobs();
  /** What `exec` has opened for good. */
  readonly files: OpenFiles = new OpenFiles();
  /** What the process has to wait for before it may end, subshells' jobs among them. */
  readonly unfinished: Set<Promise<unknown>>;
  /** Commands for the end of the shell. */
  readonly traps = new Map<string, string>();
  /** `$0`. */
  readonly name: string;
  /** Whether it is a subshell. */
  readonly inner: boolean;
  /** Where its commands read and write. */
  streams: Streams;
  /** `$1` and those behind it. */
  words: readonly string[];
  /** The exit status of the line before, `$?`. */
  status = 0;
  /** The process or job that `&` has started last, `$!`. */
  lastJob: string | undefined;
  /** The descriptors that come back behind the commands it is in, whose redirections cover them. */
  readonly covered: (readonly number[])[] = [];
  /** How many texts it is in that commands have it run. */
  texts = 0;
  /** How many loops and functions it is in, for `break` and `return`. */
  loops = 0;
  functionDepth = 0;
  /** The name of the VM in use, which live verbs are about where none is named; set by `use`. */
  current: string | undefined;
  /** Set once the shell is to end: its exit status. */
  leaving: number | undefined;
  readonly #stdin: number | undefined;
  readonly #stderr: number | undefined;
  readonly #tell: ((text: string) => void) | undefined;
  #umask: number | undefined;

  /**
   * @param options What it is made of
   * @param origin The shell that this is a subshell of
   */
  constructor(options: SessionOptions, origin?: Session) {
    this.verbs = options.verbs;
    this.interactive = options.interactive;
    this.terminal = options.terminal;
    this.history = options.history ?? [];
    this.streams = options.streams;
    this.name = options.name ?? "hvsh";
    this.words = options.words ?? [];
    this.inner = origin !== undefined;
    this.#tell = options.tell;
    this.#stdin = origin === undefined ? options.streams.get(0) : origin.#stdin;
    this.#stderr = origin === undefined ? options.streams.get(2) : origin.#stderr;
    this.variables = new Variables(origin?.variables);
    this.folder = new ShellFolder(this.variables.get("PWD"), origin?.folder);
    this.functions = new Map(origin?.functions);
    this.options = origin === undefined
      ? { errexit: !options.interactive, nounset: false, xtrace: false, noglob: false }
      : { ...origin.options };
    this.unfinished = origin?.unfinished ?? new Set();
    if (origin === undefined) return;
    this.status = origin.status;
    this.lastJob = origin.lastJob;
    this.texts = origin.texts;
    this.loops = origin.loops;
    this.functionDepth = origin.functionDepth;
    this.current = origin.current;
    this.#umask = origin.umask;
  }

  /**
   * A subshell: what it changes, it changes for itself.
   *
   * @param streams Where its commands read and write
   * @param withTerminal Whether it has the person's terminal
   */
  fork(streams: Streams = this.streams, withTerminal = true): Session {
    const { verbs, interactive, terminal, history, name, words } = this;
    return new Session({
      verbs,
      streams,
      ...(this.#tell === undefined ? {} : { tell: this.#tell }),
      interactive,
      ...(terminal === undefined || !withTerminal ? {} : { terminal }),
      history,
      name,
      words,
    }, this);
  }

  /** Whether the line has something at its stdin for commands, other than the shell's own stdin. */
  get inputGiven(): boolean {
    return this.streams.inputGiven && this.streams.get(0) !== this.#stdin;
  }

  /** The folder that paths start from. */
  get cwd(): string {
    return this.folder.physical;
  }

  /** What others may not do with the files that it makes; the process's if it is no subshell. */
  get umask(): number {
    return this.#umask ?? Deno.umask();
  }

  set umask(mask: number) {
    if (this.inner) this.#umask = mask;
    else Deno.umask(mask);
  }

  /**
   * Says something to the person, on stderr.
   *
   * @param text A line or several, without the last newline
   * @param streams Where, if not where the shell's own stderr is
   */
  note(text: string, streams: Streams = this.streams): void {
    const descriptor = streams.get(2);
    if (this.#tell !== undefined && descriptor === this.#stderr) this.#tell(text);
    else if (descriptor !== undefined) writeNow(descriptor, new TextEncoder().encode(`${text}\n`));
  }
}
