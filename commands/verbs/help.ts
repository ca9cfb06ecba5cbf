/**
 * `help`: all verbs, or one.
 *
 * @module
 */
import { overview, verbPage } from "../help_text.ts";
import { loadVerb, loadVerbs, verbNames } from "../table.ts";
import type { Verb } from "../verb.ts";

/** The row of the table. */
export const verb: Verb = {
  name: "help",
  summary: "Explain the verbs, or one of them",
  description: "Lists the verbs, or says all about one: its words, its flags and examples.",
  group: "around",
  flags: {},
  arguments: [{ name: "VERB", value: verbNames, optional: true, help: "The verb to explain" }],
  reads: "nothing",
  writes: "text",
  examples: [{ line: "hvsh help create | head -n 1", prints: "Usage: hvsh create [FLAGS]\n" }],
  run: async (words, context) => {
    const name = words.verb as string | undefined;
    const page = name === undefined
      ? overview(await loadVerbs())
      : verbPage((await loadVerb(name))!);
    await context.print(page);
    return 0;
  },
};
