/**
 * A shell with verbs of its own for tests: `count N` writes objects, `double` maps them, `first`
 * stops after one, `fail` throws, `flood` writes without end, `linger` waits to be interrupted,
 * `marked` says whether objects are the ones that were put in, `name` prints the VM it is about.
 *
 * @module
 */
import { DocumentError } from "../ffi/errors.ts";
import { openFile, OpenFlag } from "../ffi/files.ts";
import { memoryFile } from "../ffi/memory_file.ts";
import { OwnedDescriptor } from "../ffi/pipe.ts";
import type { Argument, Verb, VerbContext, Words } from "../commands/verb.ts";
import { ReaderGone } from "../commands/shell/channel.ts";
import { evaluate } from "../commands/shell/evaluate.ts";
import { parse } from "../commands/shell/parser.ts";
import { Session, type VerbSource } from "../commands/shell/session.ts";
import { Streams } from "../commands/shell/streams.ts";

type Run = (words: Words, context: VerbContext) => Promise<number>;

/** Objects that were read off a channel are the ones that were put in. */
const marker = Symbol("marker");

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
  marked: async (_words, context) => {
    for await (const value of context.input!) {
      await context.print(`${(value as { [marker]?: boolean })[marker] === true}\n`);
    }
    return 0;
  },
  about: () => Promise.resolve(0),
  name: async (words, context) => {
    await context.print(`${words.name} ${words.word ?? "-"}\n`);
    return 0;
  },
};

/** Its second word is a symbol to completion: `about web sched`. */
const ABOUT_SYMBOL: readonly Argument[] = [
  { name: "NAME", value: "vm", help: "" },
  { name: "ADDR", value: "symbol", optional: true, help: "" },
];
const ABOUT_VM: readonly Argument[] = [
  { name: "NAME", value: "vm", help: "" },
  { name: "WORD", value: "text", optional: true, help: "" },
];

function row(name: string): Verb | undefined {
  const run = runs[name];
  if (run === undefined) return undefined;
  const plain: Argument = {
    name: "N",
    value: name === "linger" ? "vm" : "number",
    optional: true,
    help: "",
  };
  return {
    name,
    summary: "",
    description: "",
    group: "around",
    flags: { mode: { short: "m", value: ["real", "long"], help: "" }, quiet: { help: "" } },
    arguments: name === "name" ? ABOUT_VM : name === "about" ? ABOUT_SYMBOL : [plain],
    reads: name === "name" || name === "about" ? "handles" : "records",
    writes: "records",
    examples: [],
    run,
  };
}

/** The verbs. */
const verbs: VerbSource = {
  names: Object.keys(runs),
  load: (name) => Promise.resolve(Object.hasOwn(runs, name) ? row(name) : undefined),
  vms: () => Promise.resolve(["web", "boot"]),
};

/** A shell whose output and complaints can be read. */
export class FakeShell {
  readonly interrupt = new AbortController();
  readonly session: Session;
  /** What it said on stderr. */
  notes = "";
  /** Called with each line on stderr. */
  onNote: (text: string) => void = () => {};

  constructor({ interactive = true } = {}) {
    this.session = new Session({
      verbs,
      streams: new Streams(new Map(), false),
      tell: (text) => {
        this.notes += `${text}\n`;
        this.onNote(text);
      },
      interactive,
      history: ["create", "run"],
    });
  }

  /** Runs a line and gives what it wrote. */
  async run(source: string): Promise<string> {
    this.notes = "";
    using nothing = new OwnedDescriptor(openFile("/dev/null", OpenFlag.RDONLY));
    using output = new OwnedDescriptor(memoryFile("stdout", new Uint8Array()));
    this.session.streams = new Streams(new Map([[0, nothing.fd], [1, output.fd]]), false);
    await evaluate(parse(source), { source }, this.session, this.interrupt.signal);
    return Deno.readTextFileSync(`/proc/self/fd/${output.fd}`);
  }
}
