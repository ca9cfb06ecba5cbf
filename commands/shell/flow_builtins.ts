/**
 * The words about what runs next (POSIX.1-2017 XCU 2.14). `break` is a verb for VMs too: in a loop,
 * alone or with a number, it is the shell's.
 *
 * @module
 */
import { resolve } from "node:path";
import { UsageError } from "../../ffi/errors.ts";
import type { Builtin, BuiltinPlace } from "./builtin.ts";
import { atMost, number } from "./builtin_usage.ts";
import { Leave, LoopExit, Return } from "./control_flow.ts";
import { hostFailure } from "./host_failure.ts";
import { CommandError, findProgram } from "./program.ts";
import type { Session } from "./session.ts";
import { searchPath } from "./search_path.ts";

/** How many files are being read, which `return` leaves. */
let sources = 0;

/** These words. */
export const flowBuiltins: Readonly<Record<string, Builtin>> = {
  exit: {
    usage: "[STATUS]",
    summary: "Leave the shell",
    run: (words, { session }) => {
      throw new Leave(status(words, session, "exit [STATUS]"));
    },
  },
  source: { usage: "FILE [WORD…]", summary: "Run a file's lines in this shell", run: source },
  ".": { usage: "FILE [WORD…]", summary: "The same", run: source },
  eval: {
    usage: "WORD…",
    summary: "Run words as a line",
    run: (words, place) => place.evaluate(words.join(" ")),
  },
  exec: { usage: "[COMMAND…]", summary: "Run a command, and leave with its status", run: exec },
  command: {
    usage: "[-v] COMMAND…",
    summary: "Run a command, whatever functions there are",
    run: command,
  },
  type: { usage: "NAME…", summary: "Say what a word is", run: type },
  return: {
    usage: "[STATUS]",
    summary: "Leave a function, or a file that is read",
    run: (words, { session }) => {
      const result = status(words, session, "return [STATUS]");
      throw session.functionDepth > 0 || sources > 0 ? new Return(result) : new Leave(result);
    },
  },
  break: {
    usage: "[LEVELS]",
    summary: "Leave a loop; elsewhere the verb",
    accepts: aboutLoops,
    run: (words, { session }) => leaveLoop(words, session, false),
  },
  continue: {
    usage: "[LEVELS]",
    summary: "Go on with a loop's next round",
    run: (words, { session }) => leaveLoop(words, session, true),
  },
  trap: {
    usage: "COMMANDS EXIT",
    summary: "Run commands when the shell is left",
    run: trap,
  },
};

function status(words: readonly string[], session: Session, hint: string): number {
  atMost(1, words, hint);
  return words[0] === undefined ? session.status : number(words[0], hint);
}

function aboutLoops(words: readonly string[], session: Session): boolean {
  if (session.loops === 0) return false;
  return words.length === 0 || (words.length === 1 && /^[0-9]+$/.test(words[0]!));
}

function leaveLoop(words: readonly string[], session: Session, again: boolean): number {
  const hint = `${again ? "continue" : "break"} [LEVELS]`;
  atMost(1, words, hint);
  const levels = words[0] === undefined ? 1 : number(words[0], hint);
  if (levels === 0) throw new UsageError("Loops are counted from 1", { hint });
  if (session.loops === 0) return 0; // as in dash
  throw new LoopExit(Math.min(levels, session.loops), again);
}

async function source(words: readonly string[], place: BuiltinPlace): Promise<number> {
  const { session } = place;
  const [file, ...rest] = words;
  if (file === undefined) throw new UsageError("Name a file", { hint: "source FILE" });
  const path = file.includes("/") ? resolve(session.cwd, file) : await inPath(file, session);
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    throw hostFailure(error, "open", path);
  }
  const before = session.words;
  if (rest.length > 0) session.words = rest;
  sources++;
  try {
    return await place.evaluate(text, file);
  } catch (thrown) {
    if (thrown instanceof Return) return thrown.status;
    throw thrown;
  } finally {
    sources--;
    if (rest.length > 0) session.words = before;
  }
}

/** A file in PATH, which need be no program; else one in the shell's folder. */
async function inPath(name: string, session: Session): Promise<string> {
  for (const folder of searchPath(session).split(":")) {
    const path = resolve(session.cwd, folder, name);
    try {
      if ((await Deno.stat(path)).isFile) return path;
    } catch {
      // It is in another one, perhaps.
    }
  }
  return resolve(session.cwd, name);
}

async function exec(words: readonly string[], place: BuiltinPlace): Promise<number> {
  if (words.length === 0) {
    // Its redirections stay; their descriptors were opened for this.
    place.keepStreams();
    return 0;
  }
  throw new Leave(await place.command(words, false), true);
}

async function command(words: readonly string[], place: BuiltinPlace): Promise<number> {
  const [first, ...rest] = words;
  if (first === "-v" || first === "-V") return await describe(rest, place, first === "-v");
  const names = first === "--" || first === "-p" ? rest : words;
  return names.length === 0 ? 0 : await place.command(names, false);
}

function type(words: readonly string[], place: BuiltinPlace): Promise<number> {
  return describe(words, place, false);
}

async function describe(
  names: readonly string[],
  place: BuiltinPlace,
  terse: boolean,
): Promise<number> {
  const { session, context, isBuiltin } = place;
  let result = 0;
  for (const name of names) {
    const what = session.functions.has(name)
      ? "a function"
      : isBuiltin(name)
      ? "a word of the shell"
      : session.verbs.names.includes(name)
      ? "a verb"
      : undefined;
    const path = what === undefined ? await programOf(name, session) : undefined;
    if (what === undefined && path === undefined) {
      if (!terse) context.note(`hvsh: ${name}: there is no such command`);
      result = 127;
    } else await context.print(terse ? `${path ?? name}\n` : `${name} is ${what ?? path}\n`);
  }
  return result;
}

async function programOf(name: string, session: Session): Promise<string | undefined> {
  try {
    return await findProgram(name, searchPath(session), session.cwd);
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
}

async function trap(words: readonly string[], { session, context }: BuiltinPlace): Promise<number> {
  const [first, ...rest] = words[0] === "--" ? words.slice(1) : words;
  if (first === undefined) {
    for (const [name, text] of session.traps) {
      await context.print(`trap -- '${text.replaceAll("'", "'\\''")}' ${name}\n`);
    }
    return 0;
  }
  for (const name of rest) {
    if (name !== "EXIT" && name !== "0") {
      throw new UsageError(`Cannot trap ${name}: only EXIT, the end of the shell`, {
        hint: "trap 'COMMANDS' EXIT",
      });
    }
    if (first === "-") session.traps.delete("EXIT");
    else session.traps.set("EXIT", first);
  }
  return 0;
}
