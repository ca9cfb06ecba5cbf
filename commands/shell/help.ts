/**
 * `help` in the shell: the verbs' own help, and behind it what only the shell has.
 *
 * @module
 */
import { nearestWord } from "../../vmm/nearest_word.ts";
import { UsageError } from "../../ffi/errors.ts";
import { parseWords } from "../argv.ts";
import { invoke } from "../invoke.ts";
import type { Builtin, BuiltinPlace } from "./builtin.ts";
import { helpTopics, topicPage } from "../help_topics.ts";

/**
 * Makes `help`.
 *
 * @param builtins The words of the shell's own
 * @returns The built-in
 */
export function helpBuiltin(builtins: () => Readonly<Record<string, Builtin>>): Builtin {
  return {
    usage: "[VERB | TOPIC]",
    summary: "List the verbs, or explain one",
    run: (words, place) => help(words, builtins(), place),
  };
}

async function help(
  words: readonly string[],
  builtins: Readonly<Record<string, Builtin>>,
  { session, context }: BuiltinPlace,
): Promise<number> {
  const [word] = words;
  if (word === undefined) {
    await verbHelp([]);
    await context.print(overview(builtins));
    return 0;
  }
  const { names } = session.verbs;
  const topic = Object.hasOwn(helpTopics, word) ? helpTopics[word] : undefined;
  const builtin = Object.hasOwn(builtins, word) ? builtins[word] : undefined;
  if (builtin !== undefined) {
    await context.print(`${word} ${builtin.usage}`.trimEnd() + `\n  ${builtin.summary}\n`);
  }
  if (topic !== undefined) {
    if (builtin !== undefined) await context.print("\n");
    await context.print(topicPage(topic));
    return 0;
  }
  if (names.includes(word)) {
    if (builtin !== undefined) await context.print("\n");
    return await verbHelp(words);
  }
  if (builtin !== undefined) return 0;
  const near = nearestWord(word, [...names, ...Object.keys(builtins), ...Object.keys(helpTopics)]);
  throw new UsageError(`There is no help for "${word}"`, {
    hint: near === undefined ? "help" : `did you mean ${near}?`,
  });

  async function verbHelp(words: readonly string[]): Promise<number> {
    const verb = await session.verbs.load("help");
    return verb === undefined ? 0 : await invoke(verb, parseWords(verb, words), context);
  }
}

function overview(builtins: Readonly<Record<string, Builtin>>): string {
  const own = Object.entries(builtins).filter(([, { plain }]) => plain !== true).map((
    [name, { usage, summary }],
  ) => [`${name} ${usage}`.trim(), summary] as const);
  const topics = Object.entries(helpTopics).map(([name, { summary }]) =>
    [`help ${name}`, summary] as const
  );
  return `\nOnly in the shell:\n${table(own)}\nIts lines, which mean what they mean in sh:\n${
    table(topics)
  }`;
}

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join("");
}
