/**
 * `version`: which hvsh this is.
 *
 * @module
 */
import project from "../../deno.json" with { type: "json" };
import type { Verb } from "../verb.ts";

/** The row of the table. */
export const verb: Verb = {
  name: "version",
  summary: "Print the version",
  description: "Prints the version of hvsh and of the Deno that runs it.",
  group: "around",
  flags: {},
  arguments: [],
  reads: "nothing",
  writes: "text",
  examples: [{ line: "hvsh version | cut -d ' ' -f 1", prints: "hvsh\n" }],
  run: async (_words, context) => {
    const { deno } = Deno.version;
    await context.print(`hvsh ${project.version} (Deno ${deno}, ${Deno.build.target})\n`);
    return 0;
  },
};
