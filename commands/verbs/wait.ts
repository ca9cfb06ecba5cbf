/**
 * `hvsh wait`: wait for VMs to end.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import { namedVms } from "../live/clients.ts";
import { call } from "../live/json_rpc.ts";
import { type ExitRecord, takeExit } from "../live/owner.ts";
import type { RunDirectory } from "../live/run_directory.ts";
import type { Verb } from "../verb.ts";

/** The row of `wait`. */
export const verb: Verb = {
  name: "wait",
  summary: "Wait for VMs to end",
  description:
    "Blocks until each VM has ended and prints a line for it with the reason and the exit status. " +
    "A detached VM that ended earlier is still told of, once. The exit status is that of the last VM.",
  group: "live",
  flags: {},
  arguments: [{ name: "NAME", value: "vm", optional: true, repeat: true, help: "the VMs" }],
  reads: "handles",
  writes: "records",
  examples: [{ line: "hvsh wait web", needs: "kvm" }],
  async run(words, context) {
    let status = 0;
    for await (const vm of namedVms(words, context, { ended: true })) {
      const record = await exitOf(vm);
      status = record.status;
      await context.emit(record);
    }
    return status;
  },
};

async function exitOf(vm: RunDirectory): Promise<ExitRecord> {
  if (vm.live) {
    try {
      return await call(vm.control, "control.wait") as ExitRecord;
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
