/**
 * A method that goes on for long, asked of several VMs at once.
 *
 * @module
 */
import { follow } from "../live/json_rpc.ts";
import type { RunDirectory } from "../live/run_directory.ts";

/** What one of them said. */
export type Heard = (vm: RunDirectory, params: unknown) => Promise<void> | void;

/**
 * Follows a method of VMs until all have answered, or it is told to end. A VM that ends has said what
 * there is to say.
 *
 * @param vms The VMs
 * @param method The method
 * @param params Its parameters
 * @param signal Ends it
 * @param heard Gets each VM's notifications, one after the other for each VM
 * @throws {VmError} If a VM that lives refuses; the others are left then
 */
export async function followVms(
  vms: readonly RunDirectory[],
  method: string,
  params: object,
  signal: AbortSignal,
  heard: Heard,
): Promise<void> {
  const failed = new AbortController();
  const all = AbortSignal.any([signal, failed.signal]);
  const results = await Promise.allSettled(vms.map(async (vm) => {
    try {
      for await (const message of following(vm, method, params, all)) {
        await heard(vm, message.params);
        if (all.aborted) return;
      }
    } catch (error) {
      failed.abort();
      throw error;
    }
  }));
  const failure = results.find((result) => result.status === "rejected");
  if (failure !== undefined) throw failure.reason;
}

async function* following(
  vm: RunDirectory,
  method: string,
  params: object,
  signal: AbortSignal,
) {
  let began = false;
  try {
    for await (const message of follow(vm.control, method, { ...params }, signal)) {
      began = true;
      yield message;
    }
  } catch (error) {
    // Its process may end before its last answer is out.
    if (!began || vm.live) throw error;
  }
}
