/**
 * `hvsh FILE WORD…` and `hvsh -c LINE`: a shell that runs a text and is then left.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import type { PersonTerminal } from "../verb.ts";
import { hostFailure } from "./host_failure.ts";
import { endJobs, finish, runText } from "./script.ts";
import { Session } from "./session.ts";
import { standardStreams } from "./standard_streams.ts";
import { tableVerbs } from "./table_verbs.ts";

/**
 * Runs a script.
 *
 * @param path Its path
 * @param words Its words, `$1` and those behind it
 * @returns Its exit status
 * @throws {HvshError} If it cannot be read, or is none
 */
export async function runScript(path: string, words: readonly string[]): Promise<number> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    throw hostFailure(error, "open", path);
  }
  if (text.includes("\0")) {
    throw new UsageError(`${path} is no script`, { hint: `hvsh run ${path}` });
  }
  return await run(text, path, path, words);
}

/**
 * Runs a line.
 *
 * @param words The line, `$0`, and `$1` and those behind it
 * @returns Its exit status
 * @throws {UsageError} If there is no line
 */
export async function runLine([line, name, ...words]: readonly string[]): Promise<number> {
  if (line === undefined) throw new UsageError("Expected a line", { hint: "hvsh -c 'LINE'" });
  return await run(line, undefined, name ?? "hvsh", words);
}

async function run(
  text: string,
  file: string | undefined,
  name: string,
  words: readonly string[],
): Promise<number> {
  const terminal = personTerminal();
  const session = new Session({
    verbs: tableVerbs,
    streams: standardStreams(false),
    interactive: false,
    ...(terminal === undefined ? {} : { terminal }),
    name,
    words,
  });
  const running = new AbortController();
  Deno.addSignalListener("SIGINT", () => running.abort());
  await runText(text, file, session, running.signal);
  if (running.signal.aborted) await endJobs(session);
  return await finish(session, running.signal);
}

/** The terminal at stdin; where that is something else and output is seen, the one of this process. */
function personTerminal(): PersonTerminal | undefined {
  if (Deno.stdin.isTerminal()) return Deno.stdin;
  if (!Deno.stdout.isTerminal()) return undefined;
  try {
    return Deno.openSync("/dev/tty");
  } catch {
    return undefined; // no terminal controls this process
  }
}
