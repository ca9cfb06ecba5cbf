/**
 * Runs a verb over a context: the one way for the command line and for the interactive shell.
 *
 * @module
 */
import { argumentKey } from "./argv.ts";
import { derivedContext } from "./derived_context.ts";
import { documents } from "./documents.ts";
import type { OutputFormat } from "./output.ts";
import type { Verb, VerbContext, Words } from "./verb.ts";

/**
 * Runs a verb. A builder maps every document that its input gives, as `jq` does. One that can also be
 * run is run where its words name a VM, or where handles of live VMs are given.
 *
 * @param verb The verb
 * @param words Its words, parsed
 * @param place Where it runs
 * @returns The exit status
 * @throws {HvshError} What failed
 */
export async function invoke(verb: Verb, words: Words, place: VerbContext): Promise<number> {
  const context = words.quiet === true ? quietly(place) : place;
  if (!givesRecords(verb) || words.output === undefined) return await start(verb, words, context);
  const { inFormat } = await import("./formatted_output.ts");
  return await inFormat(
    words.output as OutputFormat,
    context,
    (context) => start(verb, words, context),
  );
}

/**
 * Whether a verb's objects are data, which `--output` chooses the form of.
 *
 * @param verb The verb
 */
export function givesRecords({ run, build, writes }: Verb): boolean {
  return run !== undefined && build === undefined && (writes === "records" || writes === "handles");
}

async function start(verb: Verb, words: Words, context: VerbContext): Promise<number> {
  if (verb.build === undefined) return await verb.run!(words, context);
  if (verb.run === undefined) return await build(verb, words, context);
  const [named] = verb.arguments;
  if (named !== undefined && words[argumentKey(named)] !== undefined) {
    return await verb.run(words, context);
  }
  const { input } = context;
  if (input === undefined) return await verb.run(words, context); // which says what is missing
  const objects = input[Symbol.asyncIterator]();
  const first = await objects.next();
  const given = withInput(context, again(first, objects));
  const { live } = (first.done ? {} : first.value ?? {}) as { live?: unknown };
  return live === undefined ? await build(verb, words, given) : await verb.run(words, given);
}

async function build(verb: Verb, words: Words, context: VerbContext): Promise<number> {
  if (verb.reads === "nothing") {
    await context.emit(verb.build!({ vm: 1 }, words, context.cwd));
    return 0;
  }
  for await (const document of documents(context)) {
    await context.emit(verb.build!(document, words, context.cwd));
  }
  return 0;
}

/** What was looked at, and what comes behind it. */
async function* again(
  first: IteratorResult<unknown>,
  rest: AsyncIterator<unknown>,
): AsyncGenerator<unknown> {
  for (let next = first; !next.done; next = await rest.next()) yield next.value;
}

/** The same place, with stdin's objects read as far as they have been. */
function withInput(context: VerbContext, input: AsyncIterable<unknown>): VerbContext {
  return derivedContext(context, { input, bytes: undefined, stdin: undefined, stdout: undefined });
}

function quietly(context: VerbContext): VerbContext {
  return derivedContext(context, { note: () => {}, progress: false });
}
