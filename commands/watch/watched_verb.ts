/**
 * A verb that is run again and again.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { nearestWord } from "../../vmm/nearest_word.ts";
import { HELP, parseWords, WordError } from "../argv.ts";
import { derivedContext } from "../derived_context.ts";
import { invoke } from "../invoke.ts";
import { liveName } from "../live/clients.ts";
import { loadVerb, verbNames } from "../table.ts";
import type { TerminalLook, Verb, VerbContext, Words } from "../verb.ts";

/** They go on until somebody ends them. */
const ENDLESS: ReadonlySet<string> = new Set([
  ...["run", "restore", "console", "gdb", "events", "trace", "top", "watch"],
]);

/** One verb with its words. */
export class WatchedVerb {
  /** The words that were typed. */
  readonly line: string;
  readonly #verb: Verb;
  readonly #words: Words;
  readonly #context: VerbContext;
  /** Objects of the stage before: each run gets all of them. */
  readonly #given: unknown[] = [];
  #input: AsyncIterator<unknown> | undefined;

  private constructor(line: string, verb: Verb, words: Words, context: VerbContext) {
    this.line = line;
    this.#verb = verb;
    this.#words = words;
    this.#context = context;
  }

  /**
   * Finds a verb.
   *
   * @param name Its word
   * @param argv The words behind it
   * @param context Where it runs
   * @throws {UsageError} If there is no such verb, or it is none to be run again and again
   */
  static async find(
    name: string,
    argv: readonly string[],
    context: VerbContext,
  ): Promise<WatchedVerb> {
    const verb = await loadVerb(name);
    if (verb === undefined) {
      const near = nearestWord(name, verbNames);
      throw new UsageError(`There is no verb "${name}"`, {
        hint: near === undefined ? "hvsh help" : `did you mean ${near}?`,
      });
    }
    if (verb.run === undefined || ENDLESS.has(name)) {
      const why = verb.run === undefined ? "only makes documents" : "goes on by itself";
      throw new UsageError(`There is nothing to watch in \`${name}\`: it ${why}`, {
        hint: "hvsh watch list",
      });
    }
    const line = [name, ...argv].join(" ");
    return new WatchedVerb(line, verb, parsed(verb, argv), context);
  }

  /** The words that may be names of VMs, those in handles among them. */
  get names(): string[] {
    const handles = this.#given.map(liveName).filter((name) => name !== undefined);
    return [...this.line.split(" ").slice(1), ...handles];
  }

  /** Runs it as a stage that others follow: its records go on. */
  async pass(): Promise<void> {
    await this.#run({});
  }

  /**
   * Runs it for a person.
   *
   * @param look The terminal
   * @param signal Ends it
   * @returns What it has printed
   */
  async text(look: TerminalLook, signal: AbortSignal): Promise<string> {
    let text = "";
    const decoder = new TextDecoder();
    const print = (more: string) => Promise.resolve(void (text += more));
    await this.#run({
      forPerson: true,
      look,
      signal,
      progress: false,
      terminal: undefined,
      stdout: undefined,
      print,
      emit: (value) => print(`${JSON.stringify(value)}\n`),
      write: (bytes) => print(decoder.decode(bytes, { stream: true })),
      note: (line) => void print(`${line}\n`),
    });
    return text;
  }

  async #run(own: Parameters<typeof derivedContext>[1]): Promise<void> {
    const input = this.#verb.reads === "handles" && this.#context.input !== undefined
      ? this.#replayed()
      : undefined;
    const place = { ...own, input, bytes: undefined, stdin: undefined };
    await invoke(this.#verb, this.#words, derivedContext(this.#context, place));
  }

  /** What was given to earlier runs, and then what comes yet. */
  async *#replayed(): AsyncGenerator<unknown> {
    yield* this.#given;
    this.#input ??= this.#context.input![Symbol.asyncIterator]();
    for (;;) {
      const { done, value } = await this.#input.next();
      if (done === true) return;
      this.#given.push(value);
      yield value;
    }
  }
}

function parsed(verb: Verb, argv: readonly string[]): Words {
  try {
    const words = parseWords(verb, argv);
    if (words[HELP] !== true) return words;
  } catch (error) {
    if (!(error instanceof WordError)) throw error;
    const hint = error.hint ?? `hvsh ${verb.name} --help`;
    throw new UsageError(`${verb.name}: ${error.message}`, { cause: error, hint });
  }
  throw new UsageError(`There is no --help to watch`, { hint: `hvsh ${verb.name} --help` });
}
