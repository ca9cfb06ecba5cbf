/**
 * What a verb is. One table of these describes every verb once; argv parsing, the shell's
 * built-ins, help, completions and the TypeScript API are made from it.
 *
 * @module
 */
import type { VmDocument } from "../vmm/document.ts";
import type { LiveKind } from "./live_kinds.ts";

/** What the words behind a flag or an argument mean; it chooses parsing and completion. */
export type ValueKind =
  | "text"
  | "number"
  | "size"
  | "address"
  | "seconds"
  | "path"
  | LiveKind
  | readonly string[];

/** One flag of a verb. */
export interface Flag {
  /** One letter, for `-m`. */
  readonly short?: string;
  /** The kind of its value; a flag without one is a switch. */
  readonly value?: ValueKind;
  /** How the value is called in help, `SIZE`. */
  readonly metavar?: string;
  /** May be given more than once; its values come as an array. */
  readonly repeat?: boolean;
  /** One line for help. */
  readonly help: string;
}

/** One positional argument. */
export interface Argument {
  /** How it is called in help, `FILE[@ADDR]`; parsed words have it under `file`. */
  readonly name: string;
  /** The kind of its value. */
  readonly value: ValueKind;
  /** May be left out. */
  readonly optional?: boolean;
  /** Takes all the remaining words. */
  readonly repeat?: boolean;
  /** What those behind its first word mean to completion, where that is something else. */
  readonly behind?: ValueKind;
  /** Takes them as they are, flags too; for the last argument, which repeats. */
  readonly raw?: boolean;
  /** One line for help. */
  readonly help: string;
}

/** A flag's or argument's value after parsing. */
export type Value = string | number | boolean | readonly (string | number)[];

/** The words of a verb, parsed: flags by long name, arguments as their names say. */
export type Words = Readonly<Record<string, Value | undefined>>;

/** What flows into and out of a verb. */
export type Flow = "nothing" | "document" | "stream" | "handles" | "records" | "text" | "console";

/** A person's terminal, to attach a guest's console to. */
export interface PersonTerminal {
  /** Gives what is typed; null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Puts it into raw mode and back; left out where the output is not seen on it. */
  setRaw?(raw: boolean): void;
}

/** What a person's terminal shows. */
export interface TerminalLook {
  /** Its size in characters. */
  readonly columns: number;
  readonly rows: number;
  /** Colours are welcome. */
  readonly color: boolean;
}

/** Where a verb runs: the process's own streams, or a stage of the interactive shell. */
export interface VerbContext {
  /** Objects from the stage before (documents or handles); undefined if there is no stage before. */
  readonly input: AsyncIterable<unknown> | undefined;
  /** Bytes from the stage before, for a verb that reads an image or a console's input: in place of `input`. */
  readonly bytes: AsyncIterable<Uint8Array> | undefined;
  /** Takes an object for the next stage; resolves when it may send the next. */
  emit(value: unknown): Promise<void>;
  /** Takes text for the next stage. */
  print(text: string): Promise<void>;
  /** Takes bytes for the next stage: a guest's console. */
  write(bytes: Uint8Array): Promise<void>;
  /** The descriptor behind {@linkcode write}, where there is nothing else before it. */
  readonly stdout?: number;
  /** The descriptor behind {@linkcode bytes}, of which nothing has been read yet. */
  readonly stdin?: number;
  /** The descriptor behind {@linkcode note}, where that is not the process's own stderr; -1 if it is closed. */
  readonly stderr?: number;
  /** One line for the person, on stderr. */
  note(text: string): void;
  /** The next stage is a person at a terminal, so data is laid out as a table. */
  readonly forPerson?: boolean;
  /** That terminal, if its size is known: tables are made to fit. */
  readonly look?: TerminalLook | undefined;
  /** A person sees stderr at a terminal: how far long work has come is drawn there. */
  readonly progress?: boolean;
  /** The person's terminal, if one is at it. */
  readonly terminal: PersonTerminal | undefined;
  /** The folder that relative paths start from. */
  readonly cwd: string;
  /** The process runs more than this verb: its signals are not the verb's, which has its own. */
  readonly shared?: boolean;
  /** Aborts when the reader or the person is gone. */
  readonly signal: AbortSignal;
}

/** A line that shows the verb's use; a test runs it and compares. */
export interface Example {
  /** The line as one types it in sh. */
  readonly line: string;
  /** What it prints, or undefined if that differs from host to host. */
  readonly prints?: string;
  /** What the host must have for it; such a line runs with the tests that need the same. */
  readonly needs?: "kvm";
}

/** A builder as flags of `run`: `hvsh kernel K --entry long` is `hvsh run --kernel K --entry long`. */
export interface Inline {
  /**
   * The flag with the verb's own name: its value is one word of the verb (`--kernel PATH`) or a line
   * of them (`--map 'ram 16M@0x80000000'`). Without it there is none.
   */
  readonly value?: "word" | "line";
  /** Those of its flags that become flags. */
  readonly flags?: readonly string[];
}

/** A verb. */
export interface Verb {
  /** Its word. */
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** What it does in a few sentences, for `help VERB`. */
  readonly description: string;
  /** The group it is listed under in `help`. */
  readonly group: "build" | "run" | "live" | "around";
  /** Flags by their long names. */
  readonly flags: Readonly<Record<string, Flag>>;
  /** Positional arguments in order. */
  readonly arguments: readonly Argument[];
  /** What the words behind `--` are, for verbs that hand them on; elsewhere `--` ends the flags. */
  readonly rest?: Argument;
  /** How `run` offers this builder among its own flags. */
  readonly inline?: Inline;
  /**
   * Whether words are those of the host's program with the same name: in the shell, where both are in
   * reach, they are for that then.
   */
  readonly forProgram?: (words: readonly string[]) => boolean;
  /** What it reads. */
  readonly reads: Flow;
  /** What it writes. */
  readonly writes: Flow;
  /** At least one. */
  readonly examples: readonly Example[];
  /**
   * Builders: from a document and the words to a new document. Keys that it does not know stay. It
   * changes nothing outside, but it makes paths absolute and looks whether their files are there.
   */
  readonly build?: (document: VmDocument, words: Words, cwd: string) => VmDocument;
  /**
   * Everything else: does the work and gives the exit status. A builder that has it too is run, and does
   * not build, where its first argument names a VM or handles come on stdin.
   */
  readonly run?: (words: Words, context: VerbContext) => Promise<number>;
}
