/**
 * The command line: `hvsh VERB …`.
 *
 * @module
 */
import { HvshError, UsageError } from "../ffi/errors.ts";
import { nearestWord } from "../vmm/nearest_word.ts";
import { HELP, parseWords, WordError } from "./argv.ts";
import { hintLine } from "./hint_line.ts";
import { hostErrno } from "./host_errno.ts";
import { invoke } from "./invoke.ts";
import { ProcessContext } from "./process_context.ts";
import { loadVerb, verbNames } from "./table.ts";
import { onUnhandled } from "./unhandled_errors.ts";

/** Exit status when hvsh itself failed. */
const FAILED = 125;
const ALIASES: Readonly<Record<string, string>> = {
  "--help": "help",
  "-h": "help",
  "--version": "version",
  "-V": "version",
};

async function runLine(argv: readonly string[]): Promise<number> {
  const [word, ...rest] = argv;
  if (word === undefined) return await (await import("./shell/main.ts")).runShell();
  if (word === "-c") return await (await import("./shell/script_main.ts")).runLine(rest);
  const verb = await loadVerb(ALIASES[word] ?? word);
  if (verb === undefined) {
    if (isFile(word)) return await (await import("./shell/script_main.ts")).runScript(word, rest);
    const near = nearestWord(word, verbNames);
    throw new UsageError(`There is no verb "${word}"`, {
      hint: near === undefined ? "hvsh help" : `did you mean ${near}?`,
    });
  }
  const words = parseWords(verb, rest);
  if (words[HELP] !== true) return await invoke(verb, words, new ProcessContext());
  const help = (await loadVerb("help"))!;
  return await invoke(help, { verb: verb.name }, new ProcessContext());
}

/** Whether a word that is no verb's can only be a script: it is a path, or a file's name. */
function isFile(word: string): boolean {
  if (word.includes("/")) return true;
  try {
    return Deno.statSync(word).isFile;
  } catch {
    return false;
  }
}

/** Says on stderr what failed, where and what to do next. */
async function report(error: unknown, argv: readonly string[]): Promise<number> {
  const where = argv[0] === undefined ? "hvsh" : `hvsh ${argv[0]}`;
  if (!(error instanceof HvshError)) {
    // What the host refused Deno is no mistake of ours that a stack would help to find.
    const refused = hostErrno(error) !== undefined;
    const text = error instanceof Error && !refused ? error.stack : (error as Error)?.message;
    console.error(`${where}: ${text ?? error}`);
    return FAILED;
  }
  console.error(`${where}: ${error.message}`);
  if (error instanceof WordError) {
    const { caretLines } = await import("./caret.ts");
    console.error(caretLines(where, error));
  }
  if (error.hint !== undefined) {
    console.error(hintLine(error.hint));
  }
  return error.exitStatus;
}

/** An error that nobody waits for would end Deno with 1, which looks like the guest's own status. */
function reportUnhandled(argv: readonly string[]): void {
  // Where stderr is a terminal that has gone, saying so fails as well.
  onUnhandled((error) => void report(error, argv).catch(() => FAILED).then(Deno.exit));
}

if (import.meta.main) {
  reportUnhandled(Deno.args);
  let status: number;
  try {
    status = await runLine(Deno.args);
  } catch (error) {
    status = await report(error, Deno.args);
  }
  Deno.exit(status);
}
