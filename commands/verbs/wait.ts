/**
 * `hvsh wait`: wait for VMs to end.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import { namedVms, vmNames } from "../live/clients.ts";
import { call } from "../live/json_rpc.ts";
import { type ExitRecord, type Handle, takeExit } from "../live/owner.ts";
import type { RunDirectory } from "../live/run_directory.ts";
import { Meter } from "../progress/meter.ts";
import type { Verb, VerbContext } from "../verb.ts";

/** The row of `wait`. */
export const verb: Verb = {
  name: "wait",
  summary: "Wait for VMs to end",
  description:
    "Blocks until each VM has ended and prints a line for it with the reason and the exit status. " +
    "With --stop a breakpoint or a pause is enough, and the handle is passed on. " +
    "A detached VM that ended earlier is still told of, once. The exit status is that of the last VM.",
  group: "live",
  flags: { stop: { help: "Until each VM stands, paused or ended, and print its handle" } },
  arguments: [vmNames],
  reads: "handles",
  writes: "records",
  examples: [
    { line: "hvsh wait web", needs: "kvm" },
    { line: "hvsh break web start_kernel && hvsh wait web --stop | hvsh regs", needs: "kvm" },
  ],
  async run(words, context) {
    let status = 0;
    for await (const vm of namedVms(words, context, { ended: true })) {
      const record = await waited(vm, words.stop === true, context);
      if (record === undefined) break;
      status = "status" in record ? record.status : 0;
      await context.emit(record);
    }
    return status;
  },
};

/** Who looks is told of what is waited for. Undefined if nobody wants to know any more. */
async function waited(
  vm: RunDirectory,
  stop: boolean,
  context: VerbContext,
): Promise<Handle | ExitRecord | undefined> {
  const phase = stop ? "waiting until it stands" : "waiting for its end";
  using _meter = new Meter(context, { label: vm.name, phase });
  const method = stop ? "debug.wait" : "control.wait";
  return await ask(vm, method, context.signal) as Handle | ExitRecord | undefined;
}

/** Asks a VM for something that tells of its end too, or reads the word that it left of that. */
async function ask(vm: RunDirectory, method: string, signal: AbortSignal): Promise<unknown> {
  if (vm.live) {
    try {
      return await call(vm.control, method, {}, signal);
    } catch (error) {
      // It may have ended between the look and the call; then its last word is in its folder.
      const record = takeExit(vm);
      if (record !== undefined) return record;
      throw error;
    }
  }
  const record = takeExit(vm);
  if (record === undefined) throw new VmError(`VM "${vm.name}" left no word of how it ended`);
  return record;
}
