/**
 * What `hvsh console` does with a live VM.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import type { VerbContext, Words } from "../verb.ts";
import { attachConsole, expectText } from "./attach_console.ts";
import { namedVms } from "./clients.ts";
import { parseEscape } from "./escape.ts";
import { consoleInput } from "./terminal.ts";

/**
 * Attaches to the console of the one VM that is named, or waits for some text on it.
 *
 * @param words The verb's words
 * @param context Where it runs
 * @returns The exit status
 * @throws {UsageError} If more than one VM is named
 */
export async function onLiveConsole(words: Words, context: VerbContext): Promise<number> {
  const { vm: name, expect, timeout } = words;
  const escape = parseEscape(words.escape as string | undefined);
  if (timeout !== undefined && expect === undefined) {
    throw new UsageError("--timeout does nothing without --expect");
  }
  const [vm, other] = await Array.fromAsync(namedVms(name === undefined ? {} : { name }, context));
  if (other !== undefined) {
    throw new UsageError(
      `There is one console at a time, not those of ${vm!.name} and ${other.name}`,
    );
  }
  if (expect !== undefined) {
    return await expectText(vm!, expect as string, timeout as number | undefined, context);
  }
  const input = consoleInput(name !== undefined, context);
  return await attachConsole(vm!, { escape, input, backlog: words.backlog === true }, context);
}
