/**
 * The words that a person types rather than a script: `use` and `history`.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import type { Builtin, BuiltinPlace } from "./builtin.ts";
import { atMost, number } from "./builtin_usage.ts";

const HISTORY = "history [COUNT]";

/** These words. */
export const personBuiltins: Readonly<Record<string, Builtin>> = {
  use: { usage: "[NAME | -]", summary: "Choose the VM that live verbs are about", run: use },
  history: { usage: "[COUNT]", summary: "List the lines typed before", run: history },
};

async function use(words: readonly string[], { session, context }: BuiltinPlace): Promise<number> {
  atMost(1, words, "use NAME");
  const [name] = words;
  if (name === undefined) {
    if (session.current !== undefined) await context.print(`${session.current}\n`);
    return Number(session.current === undefined);
  }
  if (name === "-") {
    session.current = undefined;
    return 0;
  }
  if (!(await session.verbs.vms()).includes(name)) {
    throw new VmError(`There is no live VM called "${name}"`, { hint: "list" });
  }
  session.current = name;
  return 0;
}

async function history(
  words: readonly string[],
  { session, context }: BuiltinPlace,
): Promise<number> {
  atMost(1, words, HISTORY);
  const lines = session.history;
  const count = words[0] === undefined ? lines.length : number(words[0], HISTORY);
  const first = Math.max(0, lines.length - count);
  for (const [i, line] of lines.slice(first).entries()) {
    await context.print(`${String(first + i + 1).padStart(5)}  ${line}\n`);
  }
  return 0;
}
