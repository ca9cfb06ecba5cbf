/**
 * `help`: all verbs, or one.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { nearestWord } from "../../vmm/nearest_word.ts";
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
  arguments: [{ name: "VERB", value: "text", optional: true, help: "The verb to explain" }],
  reads: "nothing",
  writes: "text",
  examples: [{ line: "hvsh help create | head -n 1", prints: "Usage: hvsh create [FLAGS]\n" }],
  run: async (words, context) => {
    const name = words.verb as string | undefined;
    if (name === undefined) {
      await context.print(overview(await loadVerbs()));
      return 0;
    }
    const found = await loadVerb(name);
    if (found === undefined) {
      const near = nearestWord(name, verbNames);
      throw new UsageError(`There is no verb "${name}"`, {
        hint: near === undefined ? "hvsh help" : `did you mean ${near}?`,
      });
    }
    await context.print(verbPage(found));
    return 0;
  },
};
