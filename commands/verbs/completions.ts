/**
 * `completions`: Tab for bash, zsh and fish.
 *
 * @module
 */
import { loadVerbs } from "../table.ts";
import type { Verb } from "../verb.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;

/** The row of the table. */
export const verb: Verb = {
  name: "completions",
  summary: "Print the completion script for bash, zsh or fish",
  description: "Prints a script that completes verbs, flags and their values. In ~/.bashrc: " +
    "source <(hvsh completions bash)",
  group: "around",
  flags: {},
  arguments: [{ name: "SHELL", value: SHELLS, help: SHELLS.join(", ") }],
  reads: "nothing",
  writes: "text",
  examples: [
    {
      line: "hvsh completions bash | tail -n 1",
      prints: "complete -F _hvsh hvsh\n",
    },
  ],
  run: async (words, context) => {
    const verbs = await loadVerbs();
    await context.print(await script(words.shell as typeof SHELLS[number], verbs));
    return 0;
  },
};

async function script(shell: typeof SHELLS[number], verbs: readonly Verb[]): Promise<string> {
  switch (shell) {
    case "bash":
      return (await import("../completions/bash.ts")).bashCompletions(verbs);
    case "zsh":
      return (await import("../completions/zsh.ts")).zshCompletions(verbs);
    case "fish":
      return (await import("../completions/fish.ts")).fishCompletions(verbs);
  }
}
