/**
 * From a command of the tree to a stage that can run: which verb, built-in or program it is, with
 * its words parsed and its files open. Nothing has run yet when a word turns out to be wrong.
 *
 * @module
 */
import { resolve } from "node:path";
import { nearestWord } from "../../vmm/nearest_word.ts";
import { HELP, parseWords, WordError } from "../argv.ts";
import { invoke } from "../invoke.ts";
import { UsageError } from "../../ffi/errors.ts";
import type { VerbContext, Words } from "../verb.ts";
import { builtins } from "./builtins.ts";
import { complaint, type Origin } from "./complaint.ts";
import { expand, type Expanded, expandWhole } from "./expansion.ts";
import { hostFailure } from "./host_failure.ts";
import { FileOutput } from "./output.ts";
import type { Redirection, SimpleCommand } from "./parser.ts";
import type { InnerStage, ProgramStage, Stage } from "./pipeline.ts";
import { CommandError, findProgram } from "./program.ts";
import type { Session } from "./session.ts";
import type { Span } from "./syntax_error.ts";

/** Where programs are if nothing says so (POSIX.1-2017 XBD 8.3 leaves it to the system). */
const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin";

/** An error and the word it is about. */
export class WordFailure extends Error {
  override readonly cause: unknown;
  readonly span: Span;
  /** The verb that refused the word. */
  readonly verb: string | undefined;

  constructor(cause: unknown, span: Span, verb?: string) {
    super();
    this.cause = cause;
    this.span = span;
    this.verb = verb;
  }
}

/**
 * Prepares a command.
 *
 * @param command The command
 * @param session The shell
 * @param origin Where it was written, for what it may have to say
 * @returns A stage; its files are not open yet
 * @throws {WordFailure} If a word is wrong
 */
export async function prepare(
  command: SimpleCommand,
  session: Session,
  origin: Origin,
): Promise<Stage> {
  const words = command.words.flatMap((word) => expand(word, session));
  const stage = await stageOf(command, words, session);
  const name = words[0]?.text;
  return { ...stage, report: (error) => session.note(complaint(error, origin, undefined, name)) };
}

/**
 * Opens the files that a command's redirections name. The last of a direction counts, as in sh.
 *
 * @param redirections The redirections
 * @param session The shell
 * @returns What to add to its stage
 * @throws {WordFailure} If one cannot be opened
 */
export async function openFiles(
  redirections: readonly Redirection[],
  session: Session,
): Promise<Pick<Stage, "stdin" | "stdout">> {
  const open: { stdin?: ReadableStream<Uint8Array>; stdout?: FileOutput } = {};
  for (const { operator, target } of redirections) {
    const path = resolve(session.cwd, expandWhole(target, session));
    try {
      if (operator === "<") {
        const file = await Deno.open(path);
        await open.stdin?.cancel();
        open.stdin = file.readable;
      } else {
        const append = operator === ">>";
        const file = await Deno.open(path, {
          create: true,
          append,
          write: true,
          truncate: !append,
        });
        await open.stdout?.close();
        open.stdout = new FileOutput(file, path);
      }
    } catch (error) {
      await open.stdin?.cancel();
      await open.stdout?.close();
      throw new WordFailure(hostFailure(error, "open", path), target.span);
    }
  }
  return open;
}

async function stageOf(
  command: SimpleCommand,
  words: readonly Expanded[],
  session: Session,
): Promise<InnerStage | ProgramStage> {
  const [first, ...rest] = withoutOwnName(words, session);
  if (first === undefined) return assigning(command, session);
  if (!command.host) {
    const inner = await innerStage(first, rest, session);
    if (inner !== undefined) {
      refuseAssignments(command, first.text);
      return inner;
    }
  }
  return await programStage(command, first, rest, session);
}

/** Lines of documentation begin with `hvsh`; typed here they mean the same, in this process. */
function withoutOwnName(words: readonly Expanded[], session: Session): readonly Expanded[] {
  const [first, second] = words;
  const own = first?.text === "hvsh" && second !== undefined &&
    session.verbs.names.includes(second.text);
  return own ? words.slice(1) : words;
}

async function innerStage(
  name: Expanded,
  words: readonly Expanded[],
  session: Session,
): Promise<InnerStage | undefined> {
  const texts = words.map(({ text }) => text);
  if (Object.hasOwn(builtins, name.text)) {
    const builtin = builtins[name.text]!;
    return { kind: "inner", run: async (context) => await builtin.run(texts, session, context) };
  }
  const verb = await session.verbs.load(name.text);
  if (verb === undefined) return undefined;
  let parsed: Words;
  try {
    parsed = parseWords(verb, texts);
  } catch (error) {
    throw new WordFailure(error, spanOf(error, name, words), name.text);
  }
  const run = parsed[HELP] === true
    ? (context: VerbContext) => builtins.help!.run([verb.name], session, context)
    : (context: VerbContext) => invoke(verb, parsed, context);
  return { kind: "inner", run: async (context) => await run(context) };
}

async function programStage(
  command: SimpleCommand,
  name: Expanded,
  words: readonly Expanded[],
  session: Session,
): Promise<ProgramStage> {
  const environment: Record<string, string> = { ...Deno.env.toObject(), PWD: session.cwd };
  for (const { name, value } of command.assignments) {
    environment[name] = expandWhole(value, session);
  }
  let path: string | undefined;
  try {
    path = await findProgram(name.text, environment.PATH ?? DEFAULT_PATH, session.cwd);
  } catch (error) {
    throw new WordFailure(error, name.span);
  }
  if (path === undefined) throw new WordFailure(unknownCommand(name.text, session), name.span);
  const texts = words.map(({ text }) => text);
  return { kind: "program", program: { path, words: texts, cwd: session.cwd, environment } };
}

function unknownCommand(name: string, session: Session): CommandError {
  if (name.includes("/")) return new CommandError(`There is no file ${name}`, 127);
  const near = nearestWord(name, [...session.verbs.names, ...Object.keys(builtins)]);
  return new CommandError(`There is no verb and no program in PATH called "${name}"`, 127, {
    hint: near === undefined ? "help" : `did you mean ${near}?`,
  });
}

/** A line without a command's word: its assignments are the shell's own. */
function assigning(command: SimpleCommand, session: Session): InnerStage {
  return {
    kind: "inner",
    run: () => {
      for (const { name, value } of command.assignments) {
        session.variables.set(name, expandWhole(value, session));
      }
      return Promise.resolve(0);
    },
  };
}

/** A verb runs in this process, and so has the shell's environment. */
function refuseAssignments(command: SimpleCommand, verb: string): void {
  const [first] = command.assignments;
  if (first === undefined) return;
  const error = new UsageError(`Cannot set ${first.name} for \`${verb}\` alone`, {
    hint: `export ${first.name}=…; ${verb}`,
  });
  throw new WordFailure(error, first.value.span);
}

/** Where the word that an error is about was written. */
function spanOf(error: unknown, name: Expanded, words: readonly Expanded[]): Span {
  if (!(error instanceof WordError)) return name.span;
  const word = words[error.index];
  if (word === undefined) {
    const { end } = (words.at(-1) ?? name).span;
    return { start: end, end };
  }
  // A word that stands in the line as it is has the same offsets there.
  const plain = word.span.end - word.span.start === word.text.length;
  return plain ? { ...word.span, start: word.span.start + error.offset } : word.span;
}
