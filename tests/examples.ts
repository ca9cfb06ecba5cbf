/**
 * The examples of all verbs, for the tests that run them.
 *
 * @module
 */
import { loadVerbs } from "../commands/table.ts";
import type { Example } from "../commands/verb.ts";

/** An example and whose it is. */
export interface VerbExample extends Example {
  readonly verb: string;
}

/** Every example of every verb. */
export async function allExamples(): Promise<VerbExample[]> {
  const verbs = await loadVerbs();
  return verbs.flatMap(({ name, examples }) =>
    examples.map((example) => ({ ...example, verb: name }))
  );
}
