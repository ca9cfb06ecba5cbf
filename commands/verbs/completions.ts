/**
 * `completions`: Tab for bash, zsh and fish, and manual pages.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { nearestWord } from "../../vmm/nearest_word.ts";
import { liveKinds } from "../live_kinds.ts";
import { loadVerb, loadVerbs, verbNames } from "../table.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";

const ACTIONS = ["bash", "zsh", "fish", "man", "values"] as const;

/** The row of the table. */
export const verb: Verb = {
  name: "completions",
  summary: "Print the completion script for a shell, or manual pages",
  description:
    "bash, zsh and fish print a script that completes verbs, flags and their values, and names of what " +
    "lives. In ~/.bashrc: source <(hvsh completions bash). man prints the manual page hvsh(1), or " +
    "that of a VERB, hvsh-VERB(1), and with --output writes them all. values KIND [VM [WORD…]] is what " +
    "these scripts ask: it prints what a word may be, a line each.",
  group: "around",
  flags: {
    output: { short: "o", value: "path", metavar: "FOLDER", help: "man: write all pages there" },
  },
  arguments: [
    { name: "WHAT", value: ACTIONS, help: ACTIONS.join(", ") },
    {
      name: "WORD",
      value: "text",
      optional: true,
      repeat: true,
      help: "man: a verb; values: a kind, a VM, and what stands behind it",
    },
  ],
  reads: "nothing",
  writes: "text",
  examples: [
    { line: "hvsh completions bash | tail -n 1", prints: "complete -F _hvsh hvsh\n" },
    { line: "hvsh completions man run | head -n 1", prints: '.TH HVSH\\-RUN 1 "" hvsh "hvsh"\n' },
  ],
  run: async (words, context) => {
    const given = (words.word ?? []) as readonly string[];
    const what = words.what as typeof ACTIONS[number];
    if (words.output !== undefined && what !== "man") {
      throw new UsageError(`--output does nothing with ${what}`);
    }
    if (what === "man") await manual(given, words, context);
    else if (what === "values") await values(given, context);
    else {
      atMost(0, given);
      await context.print(await script(what, await loadVerbs()));
    }
    return 0;
  },
};

async function script(shell: "bash" | "zsh" | "fish", verbs: readonly Verb[]): Promise<string> {
  switch (shell) {
    case "bash":
      return (await import("../completions/bash.ts")).bashCompletions(verbs);
    case "zsh":
      return (await import("../completions/zsh.ts")).zshCompletions(verbs);
    case "fish":
      return (await import("../completions/fish.ts")).fishCompletions(verbs);
  }
}

async function manual(given: readonly string[], words: Words, context: VerbContext): Promise<void> {
  atMost(words.output === undefined ? 1 : 0, given);
  const { mainPage, verbManual } = await import("../completions/man.ts");
  const [name] = given;
  if (name !== undefined) {
    const verb = await loadVerb(name);
    if (verb === undefined) throw unknownVerb(name);
    return await context.print(verbManual(verb));
  }
  const verbs = await loadVerbs();
  if (words.output === undefined) return await context.print(mainPage(verbs));
  const { absolutePath } = await import("../image_path.ts");
  const folder = absolutePath(words.output as string, context.cwd);
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(`${folder}/hvsh.1`, mainPage(verbs));
  for (const verb of verbs) {
    await Deno.writeTextFile(`${folder}/hvsh-${verb.name}.1`, verbManual(verb));
  }
}

async function values(
  [word, vm, ...before]: readonly string[],
  context: VerbContext,
): Promise<void> {
  const kind = liveKinds.find((kind) => kind === word);
  if (kind === undefined) {
    throw new UsageError(`"${word ?? ""}" is no kind of values`, { hint: liveKinds.join(", ") });
  }
  const { printedValues } = await import("../completions/printed_values.ts");
  await context.print(await printedValues(kind, vm, before));
}

function unknownVerb(name: string): UsageError {
  const near = nearestWord(name, verbNames);
  return new UsageError(`There is no verb "${name}"`, {
    hint: near === undefined ? "hvsh help" : `did you mean ${near}?`,
  });
}

function atMost(count: number, words: readonly string[]): void {
  const more = words[count];
  if (more !== undefined) throw new UsageError(`"${more}" is one word too many`);
}
