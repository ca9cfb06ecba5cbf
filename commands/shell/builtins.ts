/**
 * The words that only a shell can have, since they change the shell itself.
 *
 * @module
 */
import { resolve } from "node:path";
import { UsageError } from "../../ffi/errors.ts";
import type { VerbContext } from "../verb.ts";
import { hostFailure } from "./host_failure.ts";
import { help } from "./help.ts";
import type { Session } from "./session.ts";

/** A word of the shell's own. */
export interface Builtin {
  /** What stands behind the word, for help. */
  readonly usage: string;
  /** One line. */
  readonly summary: string;
  run(words: readonly string[], session: Session, context: VerbContext): Promise<number> | number;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The table of these words. */
export const builtins: Readonly<Record<string, Builtin>> = {
  cd: { usage: "[FOLDER | -]", summary: "Change the folder that paths start from", run: cd },
  pwd: {
    usage: "",
    summary: "Show that folder",
    run: async (words, session, context) => {
      atMost(0, words, "pwd");
      await context.print(`${session.cwd}\n`);
      return 0;
    },
  },
  exit: { usage: "[STATUS]", summary: "Leave the shell", run: exit },
  export: {
    usage: "NAME[=VALUE]…",
    summary: "Hand variables on to verbs and programs",
    run: (words, session) => {
      for (const word of words) {
        const [name, ...rest] = word.split("=");
        session.variables.export(variable(name!), rest.length > 0 ? rest.join("=") : undefined);
      }
      return 0;
    },
  },
  unset: {
    usage: "NAME…",
    summary: "Forget variables",
    run: (words, session) => {
      for (const word of words) session.variables.unset(variable(word));
      return 0;
    },
  },
  set: { usage: "", summary: "List the shell's variables; NAME=VALUE sets one", run: set },
  history: { usage: "[COUNT]", summary: "List the lines typed before", run: history },
  help: { usage: "[VERB]", summary: "List the verbs, or explain one", run: help },
};

async function cd(
  words: readonly string[],
  session: Session,
  context: VerbContext,
): Promise<number> {
  atMost(1, words, "cd");
  const { variables } = session;
  const back = words[0] === "-";
  const target = back ? variables.get("OLDPWD") : words[0] ?? variables.get("HOME");
  if (target === undefined || target === "") {
    throw new UsageError(`Cannot change the folder: ${back ? "OLDPWD" : "HOME"} is not set`, {
      hint: "cd FOLDER",
    });
  }
  const before = session.cwd;
  const path = resolve(before, target);
  try {
    Deno.chdir(path);
  } catch (error) {
    throw hostFailure(error, "chdir", path);
  }
  variables.export("OLDPWD", before);
  variables.export("PWD", session.cwd);
  if (back) await context.print(`${session.cwd}\n`);
  return 0;
}

function exit(words: readonly string[], session: Session): number {
  atMost(1, words, "exit");
  const status = words[0] === undefined ? session.status : number(words[0], "exit");
  if (status > 255) throw new UsageError(`Exit status ${status} is above 255`);
  session.leaving = status;
  return status;
}

async function set(
  words: readonly string[],
  session: Session,
  context: VerbContext,
): Promise<number> {
  atMost(0, words, "set", "NAME=VALUE");
  for (const [name, value] of session.variables.own()) {
    await context.print(`${name}='${value.replaceAll("'", "'\\''")}'\n`);
  }
  return 0;
}

async function history(
  words: readonly string[],
  session: Session,
  context: VerbContext,
): Promise<number> {
  atMost(1, words, "history");
  const lines = session.history;
  const count = words[0] === undefined ? lines.length : number(words[0], "history");
  const first = Math.max(0, lines.length - count);
  for (const [i, line] of lines.slice(first).entries()) {
    await context.print(`${String(first + i + 1).padStart(5)}  ${line}\n`);
  }
  return 0;
}

function atMost(count: number, words: readonly string[], name: string, hint?: string): void {
  if (words.length <= count) return;
  const usage = `${name} ${builtins[name]!.usage}`.trim();
  throw new UsageError(`"${words[count]}" is one word too many`, { hint: hint ?? usage });
}

function number(word: string, name: string): number {
  if (/^[0-9]{1,9}$/.test(word)) return Number(word);
  throw new UsageError(`"${word}" is no number`, { hint: `${name} ${builtins[name]!.usage}` });
}

function variable(name: string): string {
  if (NAME.test(name)) return name;
  throw new UsageError(`"${name}" is no name of a variable: letters, digits and _`);
}
