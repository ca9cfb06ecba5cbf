/**
 * `help`: all verbs, one of them, or a topic of the shell's language.
 *
 * @module
 */
import { overview, verbPage } from "../help_text.ts";
import { helpTopics, topicPage } from "../help_topics.ts";
import { loadVerb, loadVerbs, verbNames } from "../table.ts";
import type { Verb } from "../verb.ts";

const topics = Object.keys(helpTopics);

/** The row of the table. */
export const verb: Verb = {
  name: "help",
  summary: "Explain the verbs, one of them, or a topic",
  description:
    "Lists the verbs, or says all about one: its words, its flags and examples. Topics are " +
    `those of the shell's language: ${topics.join(", ")}.`,
  group: "around",
  flags: {},
  arguments: [{
    name: "VERB",
    value: [...verbNames, ...topics],
    optional: true,
    help: "The verb or the topic to explain",
  }],
  reads: "nothing",
  writes: "text",
  examples: [
    { line: "hvsh help create | head -n 1", prints: "Usage: hvsh create [FLAGS]\n" },
    { line: "hvsh help quoting" },
  ],
  run: async (words, context) => {
    const name = words.verb as string | undefined;
    await context.print(await page(name));
    return 0;
  },
};

async function page(name: string | undefined): Promise<string> {
  if (name === undefined) return overview(await loadVerbs());
  const topic = helpTopics[name];
  return topic === undefined ? verbPage((await loadVerb(name))!) : topicPage(topic);
}
