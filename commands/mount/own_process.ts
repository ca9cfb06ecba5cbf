/**
 * hvsh as a process of its own, for what must not happen in the one that serves a tree.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { VmError } from "../../ffi/errors.ts";
import { type Asker, FileError } from "./node.ts";

/** `deno task build` gives the command line a folder of its own. */
const MAIN = import.meta.url.endsWith(".ts") ? "../main.ts" : "../main/main.js";

/**
 * The command for a verb.
 *
 * @param words The verb and its words
 * @param options More of the process's options
 */
export function ownCommand(words: readonly string[], options: Deno.CommandOptions): Deno.Command {
  const main = new URL(MAIN, import.meta.url).href;
  return new Deno.Command(Deno.execPath(), {
    ...options,
    args: ["run", "-A", "--no-check", "--quiet", main, ...words],
  });
}

/**
 * Runs a verb to its end, or until who waits for it is interrupted.
 *
 * @param words The verb and its words
 * @param asker Who waits for it
 * @throws {VmError} With what it said, if it failed
 * @throws {FileError} EINTR
 */
export async function runToEnd(words: readonly string[], { signal }: Asker): Promise<void> {
  const command = ownCommand(words, { stdin: "null", stdout: "null", stderr: "piped", signal });
  const { success, stderr } = await command.output();
  if (signal.aborted) throw new FileError(Errno.EINTR);
  if (success) return;
  const said = new TextDecoder().decode(stderr).trim();
  throw new VmError(said.replace(/^hvsh \S+: /, ""));
}
