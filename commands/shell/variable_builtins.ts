/**
 * The words about variables and arguments (POSIX.1-2017 XCU 2.14).
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import type { Builtin, BuiltinPlace } from "./builtin.ts";
import { number, variableName } from "./builtin_usage.ts";
import type { Session, ShellOptions } from "./session.ts";

const OPTIONS: Readonly<Record<string, keyof ShellOptions>> = {
  e: "errexit",
  u: "nounset",
  x: "xtrace",
  f: "noglob",
};

/** These words. */
export const variableBuiltins: Readonly<Record<string, Builtin>> = {
  export: {
    usage: "NAME[=VALUE]…",
    summary: "Hand variables on to verbs and programs",
    run: async (words, place) => {
      const { variables } = place.session;
      if (words.length === 0 || words[0] === "-p") {
        return await show(variables.exported(), "export ", place);
      }
      for (const [name, value] of assignments(words)) variables.export(name, value);
      return 0;
    },
  },
  unset: {
    usage: "[-f] NAME…",
    summary: "Forget variables, or with -f functions",
    run: (words, { session }) => {
      const [first, ...rest] = words;
      const names = first === "-f" || first === "-v" ? rest : words;
      for (const name of names) {
        if (first === "-f") session.functions.delete(name);
        else session.variables.unset(variableName(name));
      }
      return 0;
    },
  },
  readonly: {
    usage: "NAME[=VALUE]…",
    summary: "Keep variables as they are",
    run: (words, { session }) => {
      for (const [name, value] of assignments(words)) {
        if (value !== undefined) session.variables.set(name, value);
        session.variables.freeze(name);
      }
      return 0;
    },
  },
  local: {
    usage: "NAME[=VALUE]…",
    summary: "Make variables a function's own",
    run: (words, { session }) => {
      for (const [name, value] of assignments(words)) {
        session.variables.local(name);
        if (value !== undefined) session.variables.set(name, value);
      }
      return 0;
    },
  },
  set: {
    usage: "[-eufx | +eufx] [--] [WORD…]",
    summary: "List variables, set options or the arguments $1…",
    run: set,
  },
  shift: {
    usage: "[COUNT]",
    summary: "Drop the first arguments",
    run: ([count = "1"], { session }) => {
      const dropped = number(count, "shift [COUNT]");
      if (dropped > session.words.length) {
        throw new UsageError(`Cannot drop ${dropped} of ${session.words.length} arguments`);
      }
      session.words = session.words.slice(dropped);
      return 0;
    },
  },
};

function* assignments(
  words: readonly string[],
): Generator<readonly [name: string, value: string | undefined]> {
  for (const word of words) {
    const equals = word.indexOf("=");
    const name = variableName(equals < 0 ? word : word.slice(0, equals));
    yield [name, equals < 0 ? undefined : word.slice(equals + 1)];
  }
}

async function show(
  variables: readonly (readonly [string, string | undefined])[],
  before: string,
  { context }: BuiltinPlace,
): Promise<number> {
  for (const [name, value] of variables) {
    const shown = value === undefined ? "" : `='${value.replaceAll("'", "'\\''")}'`;
    await context.print(`${before}${name}${shown}\n`);
  }
  return 0;
}

async function set(words: readonly string[], place: BuiltinPlace): Promise<number> {
  const { session } = place;
  if (words.length === 0) return await show(session.variables.own(), "", place);
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at]!;
    if (word === "--") {
      session.words = words.slice(at + 1);
      return 0;
    }
    if (!/^[-+]./.test(word)) break;
    const on = word.startsWith("-");
    for (const letter of word.slice(1)) {
      if (letter === "o") setByName(session, words[++at], on);
      else setOption(session, OPTIONS[letter], letter, on);
    }
  }
  if (at < words.length) session.words = words.slice(at);
  return 0;
}

function setByName(session: Session, name: string | undefined, on: boolean): void {
  const option = Object.values(OPTIONS).find((option) => option === name);
  setOption(session, option, name ?? "", on);
}

function setOption(
  session: Session,
  option: keyof ShellOptions | undefined,
  word: string,
  on: boolean,
): void {
  if (option !== undefined) session.options[option] = on;
  else if (word === "m" && on) return; // jobs have process groups of their own anyway
  else {
    throw new UsageError(`There is no option "${word}"`, {
      hint: `set -${Object.keys(OPTIONS).join("")}, or set -- WORD… for arguments`,
    });
  }
}
