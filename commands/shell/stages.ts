/**
 * From a command of the tree to a stage that can run: which verb, built-in, function or program it
 * is, with its words parsed. Nothing has run yet when a word turns out to be wrong.
 *
 * @module
 */
import { nearestWord } from "../../vmm/nearest_word.ts";
import { HELP, parseWords, WordError } from "../argv.ts";
import { invoke } from "../invoke.ts";
import type { Verb, Words } from "../verb.ts";
import { builtins } from "./builtins.ts";
import type { Builtin } from "./builtin.ts";
import type { Expanded } from "./expansion.ts";
import { CommandError, findProgram, type Program } from "./program.ts";
import { searchPath } from "./search_path.ts";
import type { Session, ShellFunction } from "./session.ts";
import type { Span } from "./syntax_error.ts";
import { withVmInUse } from "./vm_in_use.ts";
import type { StageContext } from "./verb_context.ts";
import { WordFailure } from "./word_failure.ts";

/** What runs a verb in a process of its own. */
const MAIN = import.meta.url.endsWith(".ts") ? "../main.ts" : "./main.js";

/** What a command's first word is. */
export type Stage =
  | { readonly kind: "verb"; readonly name: string; run(context: StageContext): Promise<number> }
  | {
    readonly kind: "builtin";
    readonly name: string;
    readonly builtin: Builtin;
    readonly words: readonly string[];
  }
  | {
    readonly kind: "function";
    readonly name: string;
    readonly function: ShellFunction;
    readonly words: readonly string[];
  }
  | { readonly kind: "program"; readonly name: string; readonly program: Program };

/** How a command is looked for. */
export interface StageOptions {
  /** Only programs of the host: written with `^`. */
  readonly host?: boolean;
  /** Functions are left out. */
  readonly functionless?: boolean;
  /** Variables that the command alone has. */
  readonly assigned?: Readonly<Record<string, string>>;
  /** Something at its stdin is meant for it. */
  readonly inputGiven: boolean;
}

/**
 * Finds out what a command is.
 *
 * @param words The command and its words
 * @param session The shell
 * @param options How it is looked for
 * @returns The stage
 * @throws {WordFailure} If a word is wrong
 */
export async function stageOf(
  words: readonly Expanded[],
  session: Session,
  options: StageOptions,
): Promise<Stage> {
  const [first, ...rest] = words as [Expanded, ...Expanded[]];
  if (options.host === true) return await programStage(first, rest, session, options);
  const [second] = rest;
  // Lines of documentation begin with `hvsh`; typed here they mean the same, in this process.
  if (first.text === "hvsh" && second !== undefined && session.verbs.names.includes(second.text)) {
    return await verbStage(second, rest.slice(1), session, options) ??
      await programStage(first, rest, session, options);
  }
  const texts = rest.map(({ text }) => text);
  const name = first.text;
  const defined = options.functionless === true ? undefined : session.functions.get(name);
  if (defined !== undefined) return { kind: "function", name, function: defined, words: texts };
  const builtin = Object.hasOwn(builtins, name) ? builtins[name] : undefined;
  if (builtin !== undefined && builtin.accepts?.(texts, session) !== false) {
    return { kind: "builtin", name, builtin, words: texts };
  }
  return await verbStage(first, rest, session, options) ??
    await programStage(first, rest, session, options);
}

async function verbStage(
  name: Expanded,
  words: readonly Expanded[],
  session: Session,
  options: StageOptions,
): Promise<Stage | undefined> {
  const verb = await session.verbs.load(name.text);
  const texts = words.map(({ text }) => text);
  if (verb === undefined || verb.forProgram?.(texts) === true) return undefined;
  const full = options.inputGiven ? texts : await withVmInUse(verb, texts, session);
  let parsed: Words;
  try {
    parsed = parseWords(verb, full);
  } catch (error) {
    const shifted = full.length === texts.length
      ? 0
      : full.findIndex((text, i) => text !== texts[i]);
    throw new WordFailure(error, spanOf(error, name, words, shifted), { verb: name.text });
  }
  const { assigned = {} } = options;
  // A verb in this process has the process's environment and umask; with others it has its own.
  const { variables, umask } = session;
  if (variables.diverged || umask !== Deno.umask() || Object.keys(assigned).length > 0) {
    return { kind: "program", name: name.text, program: ownProcess(verb, full, session, assigned) };
  }
  if (parsed[HELP] === true) {
    return { kind: "builtin", name: "help", builtin: builtins.help!, words: [verb.name] };
  }
  return { kind: "verb", name: name.text, run: (context) => invoke(verb, parsed, context) };
}

function ownProcess(
  verb: Verb,
  words: readonly string[],
  session: Session,
  assigned: Readonly<Record<string, string>>,
): Program {
  const main = new URL(MAIN, import.meta.url).href;
  const path = Deno.execPath();
  return {
    path,
    words: [path, "run", "--quiet", "--allow-all", main, verb.name, ...words],
    cwd: session.cwd,
    environment: { ...session.variables.environment, ...assigned },
    umask: session.umask,
  };
}

async function programStage(
  name: Expanded,
  words: readonly Expanded[],
  session: Session,
  { assigned = {} }: StageOptions,
): Promise<Stage> {
  const environment = {
    ...session.variables.environment,
    PWD: session.folder.logical,
    ...assigned,
  };
  let path: string | undefined;
  try {
    path = await findProgram(name.text, assigned.PATH ?? searchPath(session), session.cwd);
  } catch (error) {
    throw new WordFailure(error, name.span);
  }
  if (path === undefined) throw new WordFailure(unknownCommand(name.text, session), name.span);
  const argv = [name.text, ...words.map(({ text }) => text)];
  const { cwd, umask } = session;
  const program = { path, words: argv, cwd, environment, umask };
  return { kind: "program", name: name.text, program };
}

function unknownCommand(name: string, session: Session): CommandError {
  if (name.includes("/")) return new CommandError(`There is no file ${name}`, 127);
  const near = nearestWord(name, [...session.verbs.names, ...Object.keys(builtins)]);
  return new CommandError(`There is no verb and no program in PATH called "${name}"`, 127, {
    hint: near === undefined ? "help" : `did you mean ${near}?`,
  });
}

/** Where the word that an error is about was written; `shifted` is where the VM in use stands. */
function spanOf(
  error: unknown,
  name: Expanded,
  words: readonly Expanded[],
  shifted: number,
): Span {
  if (!(error instanceof WordError)) return name.span;
  const inserted = error.words.length - words.length;
  const index = inserted > 0 && error.index > shifted ? error.index - inserted : error.index;
  const word = words[index];
  if (word === undefined) {
    const { end } = (words.at(-1) ?? name).span;
    return { start: end, end };
  }
  // A word that stands in the line as it is has the same offsets there.
  const plain = word.span.end - word.span.start === word.text.length;
  return plain ? { ...word.span, start: word.span.start + error.offset } : word.span;
}
