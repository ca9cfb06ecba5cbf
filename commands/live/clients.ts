/**
 * Live VMs as verbs name them: by words, or by handles from the stage before.
 *
 * @module
 */
import { UsageError, VmError } from "../../ffi/errors.ts";
import type { VerbContext, Words } from "../verb.ts";
import { call } from "./json_rpc.ts";
import type { Handle } from "./owner.ts";
import { findVm, type RunDirectory } from "./run_directory.ts";

/**
 * The VMs that a verb is about.
 *
 * @param words The verb's words, with `name` as its argument
 * @param context Where it runs
 * @param options `ended` accepts those that have ended
 * @returns Their folders
 * @throws {UsageError} If none is named
 */
export async function* namedVms(
  words: Words,
  context: VerbContext,
  options: { ended?: boolean } = {},
): AsyncGenerator<RunDirectory> {
  const names = (words.name ?? []) as readonly string[];
  if (names.length > 0) {
    for (const name of names) yield findVm(name, options);
    return;
  }
  if (context.input === undefined) {
    throw new UsageError("Name a VM, or give handles on stdin", { hint: "hvsh list" });
  }
  let none = true;
  for await (const value of context.input) {
    none = false;
    const { live } = value as { live?: unknown };
    if (typeof live !== "string") {
      throw new VmError("What is on stdin is not the handle of a live VM", {
        hint: "`hvsh list` and `hvsh run -d` write handles",
      });
    }
    yield findVm(live, options);
  }
  if (none) throw new VmError("No VM on stdin; did the stage before fail?");
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
