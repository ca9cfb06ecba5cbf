/**
 * Runs a verb over a context: the one way for the command line and for the interactive shell.
 *
 * @module
 */
import { documents } from "./documents.ts";
import type { Verb, VerbContext, Words } from "./verb.ts";

/**
 * Runs a verb. A builder maps every document that its input gives, as `jq` does.
 *
 * @param verb The verb
 * @param words Its words, parsed
 * @param context Where it runs
 * @returns The exit status
 * @throws {HvshError} What failed
 */
export async function invoke(verb: Verb, words: Words, context: VerbContext): Promise<number> {
  if (verb.build === undefined) return await verb.run!(words, context);
  if (verb.reads === "nothing") {
    await context.emit(verb.build({ vm: 1 }, words, context.cwd));
    return 0;
  }
  for await (const document of documents(context)) {
    await context.emit(verb.build(document, words, context.cwd));
  }
  return 0;
}
