/**
 * `schema`: what a VM document may hold.
 *
 * @module
 */
import type { Verb } from "../verb.ts";

/** The row of the table. */
export const verb: Verb = {
  name: "schema",
  summary: "Print the JSON Schema of a VM document",
  description:
    "Prints the schema (JSON Schema, draft 2020-12) of what goes through the pipes, for " +
    "editors and checkers. Keys that it does not name are allowed, and kept.",
  group: "around",
  flags: {},
  arguments: [],
  reads: "nothing",
  writes: "text",
  examples: [{ line: "hvsh schema | jq -c .required", prints: '["vm"]\n' }],
  run: async (_words, context) => {
    const { documentSchema } = await import("../document_schema.ts");
    await context.print(`${JSON.stringify(documentSchema(), null, 2)}\n`);
    return 0;
  },
};
