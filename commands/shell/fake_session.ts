/**
 * A shell with verbs of its own for tests: `count N` writes objects, `double` maps them, `first`
 * stops after one, `fail` throws, `flood` writes without end, `linger` waits to be interrupted.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";
import { evaluate } from "./evaluator.ts";
import { type Output, ReaderGone } from "./channel.ts";
import { parse } from "./parser.ts";
import { Session } from "./session.ts";

/** Keeps what is written. */
class Transcript implements Output {
  readonly objects: unknown[] = [];
  text = "";
  readonly #gone = new AbortController();

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  emit(value: unknown): Promise<void> {
    this.objects.push(value);
    return this.print(`${JSON.stringify(value)}\n`);
  }

  print(text: string): Promise<void> {
    this.text += text;
    return Promise.resolve();
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.print(new TextDecoder().decode(bytes));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

type Run = (words: Words, context: VerbContext) => Promise<number>;

/** Objects that were read off a channel are the ones that were put in. */
export const marker = Symbol("marker");

const runs: Readonly<Record<string, Run>> = {
  count: async (words, context) => {
    for (let i = 1; i <= (words.n as number); i++) await context.emit({ i, [marker]: true });
    return 0;
  },
  double: async (_words, context) => {
    for await (const value of context.input!) {
      const { i, ...rest } = value as { i: number };
      await context.emit({ ...rest, i: i * 2 });
    }
    return 0;
  },
  first: async (_words, context) => {
    for await (const value of context.input!) {
      await context.emit(value);
      break;
    }
    return 0;
  },
  fail: () => Promise.reject(new DocumentError("It went wrong", { hint: "do it right" })),
  flood: async (_words, context) => {
    for (let i = 0;; i++) await context.emit({ i });
  },
  linger: async (_words, { signal, note }) => {
    const interrupted = new Promise((resolve) => signal.addEventListener("abort", resolve));
    note("lingering");
    await interrupted;
    return signal.reason instanceof ReaderGone ? 0 : 1;
  },
  status: (words) => Promise.resolve(words.n as number),
};

function row(name: string): Verb | undefined {
  const run = runs[name];
  if (run === undefined) return undefined;
  return {
    name,
    summary: "",
    description: "",
    group: "around",
    flags: { mode: { short: "m", value: ["real", "long"], help: "" }, quiet: { help: "" } },
    arguments: [
      { name: "N", value: name === "linger" ? "vm" : "number", optional: true, help: "" },
    ],
    reads: "records",
    writes: "records",
    examples: [],
    run,
  };
}

/** A shell whose output and complaints can be read. */
export class FakeShell {
  readonly output = new Transcript();
  readonly interrupt = new AbortController();
  readonly session: Session;
  /** What it said on stderr. */
  notes = "";
  /** Called with each line on stderr. */
  onNote: (text: string) => void = () => {};

  constructor({ interactive = true } = {}) {
    this.session = new Session({
      verbs: { names: Object.keys(runs), load: (name) => Promise.resolve(row(name)) },
      output: this.output,
      note: (text) => {
        this.notes += `${text}\n`;
        this.onNote(text);
      },
      interactive,
      history: ["create", "run"],
    });
  }

  /** Runs a line and gives what it wrote. */
  async run(source: string): Promise<string> {
    this.output.text = "";
    this.notes = "";
    await evaluate(parse(source), { source }, this.session, this.interrupt.signal);
    return this.output.text;
  }
}
