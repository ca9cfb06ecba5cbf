/**
 * Live VMs as verbs name them: by words, patterns of names among them, or by handles from the stage
 * before. What a verb does is done to all of them at once.
 *
 * @module
 */
import { UsageError, VmError } from "../../ffi/errors.ts";
import type { Argument, VerbContext, Words } from "../verb.ts";
import { globPattern } from "./glob.ts";
import { call } from "./json_rpc.ts";
import type { Handle } from "./owner.ts";
import { findVm, findVms, type RunDirectory } from "./run_directory.ts";

/** VMs that are asked at the same time: each takes a connection. */
const MOST_AT_ONCE = 128;
/** The word for the handles on stdin, where other words need it. */
export const HANDLES = "-";

/** The argument of verbs for any number of VMs. */
export const vmNames: Argument = {
  name: "NAME",
  value: "vm",
  optional: true,
  repeat: true,
  help: "the VMs, or patterns such as 'web*'; handles on stdin if left out",
};

/** How VMs are looked for. */
export interface Named {
  /** Those that have ended are accepted. */
  readonly ended?: boolean;
}

/**
 * The VMs that a verb is about.
 *
 * @param words The verb's words, with `name` as its argument
 * @param context Where it runs
 * @param options How they are looked for
 * @returns Their folders, each once
 * @throws {UsageError} If none is named
 */
export async function* namedVms(
  words: Words,
  context: Pick<VerbContext, "input">,
  options: Named = {},
): AsyncGenerator<RunDirectory> {
  const { name = [] } = words;
  const names = (Array.isArray(name) ? name : [name]) as readonly string[];
  const seen = new Set<string>();
  for await (
    const vm of names.length > 0 ? byWords(names, context, options) : byHandles(context, options)
  ) {
    if (seen.has(vm.name)) continue;
    seen.add(vm.name);
    yield vm;
  }
}

async function* byWords(
  names: readonly string[],
  context: Pick<VerbContext, "input">,
  options: Named,
): AsyncGenerator<RunDirectory> {
  for (const name of names) {
    const pattern = globPattern(name);
    if (name === HANDLES) yield* byHandles(context, options);
    else if (pattern === undefined) yield findVm(name, options);
    else yield* byPattern(name, pattern, options);
  }
}

function byPattern(word: string, pattern: RegExp, options: Named): RunDirectory[] {
  const found = findVms(options).filter(({ name }) => pattern.test(name));
  if (found.length > 0) return found;
  throw new VmError(`There is no live VM whose name matches ${word}`, { hint: "hvsh list" });
}

async function* byHandles(
  context: Pick<VerbContext, "input">,
  options: Named,
): AsyncGenerator<RunDirectory> {
  if (context.input === undefined) {
    throw new UsageError("Name a VM, or give handles on stdin", { hint: "hvsh list" });
  }
  let none = true;
  for await (const value of context.input) {
    none = false;
    const live = liveName(value);
    if (live === undefined) {
      throw new VmError("What is on stdin is not the handle of a live VM", {
        hint: "`hvsh list` and `hvsh run -d` write handles",
      });
    }
    yield findVm(live, options);
  }
  if (none) throw new VmError("No VM on stdin; did the stage before fail?");
}

/**
 * The name in a handle.
 *
 * @param value What came on stdin
 * @returns The name; undefined if it is no handle
 */
export function liveName(value: unknown): string | undefined {
  const live = (value as { live?: unknown } | null)?.live;
  return typeof live === "string" ? live : undefined;
}

/**
 * Does something to all VMs that a verb is about, and passes on what it gave, in their order. That one
 * of them fails does not keep the others from it.
 *
 * @param words The verb's words, with `name` as its argument
 * @param context Where it runs
 * @param work What to do; nothing is passed on where it gives undefined
 * @param options How they are looked for
 * @returns 0
 * @throws {HvshError} What failed, at the end
 */
export async function eachVm(
  words: Words,
  context: Pick<VerbContext, "input" | "emit">,
  work: (vm: RunDirectory) => Promise<unknown>,
  options: Named = {},
): Promise<number> {
  const failures: { readonly name: string; readonly error: unknown }[] = [];
  const running = new Set<Promise<unknown>>();
  let passedOn: Promise<void> = Promise.resolve();
  let count = 0;
  const one = async (vm: RunDirectory) => {
    try {
      return await work(vm);
    } catch (error) {
      failures.push({ name: vm.name, error });
      return undefined;
    }
  };
  const passOn = async (before: Promise<void>, result: Promise<unknown>) => {
    await before;
    const value = await result;
    if (value !== undefined) await context.emit(value);
  };
  try {
    for await (const vm of namedVms(words, context, options)) {
      count++;
      const result = one(vm);
      running.add(result);
      result.finally(() => running.delete(result));
      passedOn = passOn(passedOn, result);
      passedOn.catch(() => {}); // it is awaited below
      if (running.size >= MOST_AT_ONCE) await Promise.race(running);
    }
  } finally {
    await passedOn;
  }
  const [first] = failures;
  if (first === undefined) return 0;
  if (count === 1) throw first.error;
  const why = failures.map(({ name, error }) => `\n  ${name}: ${(error as Error).message}`);
  throw new VmError(`${failures.length} of ${count} VMs: it failed${why.join("")}`);
}

/**
 * Asks a VM's owner for something that gives a handle.
 *
 * @param directory The VM's folder
 * @param method The method of the group `control`
 * @returns The handle
 */
export async function request(directory: RunDirectory, method: string): Promise<Handle> {
  return await call(directory.control, `control.${method}`) as Handle;
}
