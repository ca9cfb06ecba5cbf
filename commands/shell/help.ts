/**
 * `help` in the shell: the verbs' own help, and behind it what only the shell has.
 *
 * @module
 */
import { parseWords } from "../argv.ts";
import { invoke } from "../invoke.ts";
import type { VerbContext } from "../verb.ts";
import { builtins } from "./builtins.ts";
import type { Session } from "./session.ts";

const GRAMMAR: readonly (readonly [what: string, meaning: string])[] = [
  ["a | b", "b reads what a writes: objects between verbs, bytes to and from programs"],
  ["a > f   a >> f   a < f", "write to a file, append to it, read from it"],
  ["a; b   a && b   a || b", "then; then if a succeeded; then if a failed"],
  ["'…'   \"…\"   \\", 'quote; variables keep their meaning between "…"'],
  ["v=word   $v   $?", "set and use a variable; the exit status of the line before"],
  ["^cmd", "the program cmd even if a verb has its name; unknown words need no ^"],
  ["# …", "a comment"],
];

/**
 * Explains.
 *
 * @param words A verb, or nothing for all
 * @param session The shell
 * @param context Where to print
 * @returns The exit status
 */
export async function help(
  words: readonly string[],
  session: Session,
  context: VerbContext,
): Promise<number> {
  const [word] = words;
  const builtin = word !== undefined && Object.hasOwn(builtins, word) ? builtins[word] : undefined;
  if (builtin !== undefined) {
    await context.print(`${word} ${builtin.usage}`.trimEnd() + `\n  ${builtin.summary}\n`);
    return 0;
  }
  const verb = await session.verbs.load("help");
  if (verb !== undefined) {
    const status = await invoke(verb, parseWords(verb, words), context);
    if (status !== 0 || word !== undefined) return status;
  }
  const own = Object.entries(builtins).map(([name, { usage, summary }]) =>
    [`${name} ${usage}`.trim(), summary] as const
  );
  await context.print(`\nOnly in the shell:\n${table(own)}\nLines:\n${table(GRAMMAR)}`);
  return 0;
}

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join("");
}
