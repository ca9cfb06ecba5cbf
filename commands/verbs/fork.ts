/**
 * `hvsh fork`: copies of a live VM.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { namedVms, vmNames } from "../live/clients.ts";
import { detach } from "../live/detach.ts";
import { deviceChange, setFlag } from "../live/device_change.ts";
import type { ForkRecord } from "../live/methods/fork.ts";
import type { Handle } from "../live/owner.ts";
import { RpcConnection } from "../live/rpc_connection.ts";
import type { RunDirectory } from "../live/run_directory.ts";
import { Meter } from "../progress/meter.ts";
import type { Verb, Words } from "../verb.ts";

/** The row of `fork`. */
export const verb: Verb = {
  name: "fork",
  summary: "Make copies of a live VM",
  description:
    "Makes VMs that go on from where this one is, each in a process of its own, and prints their handles. " +
    "Memory is shared until somebody writes to it. A copy of a paused VM is paused. It has a name, a MAC, " +
    "a vsock and a generation ID of its own, and its writes to disks are gone with it; meanwhile the " +
    "original, if it writes to disks, stays paused.",
  group: "live",
  flags: {
    name: { short: "n", value: "text", metavar: "NAME", help: "the copy's name" },
    count: { value: "number", metavar: "N", help: "how many; their names have a number (1)" },
    paused: { help: "wait for `hvsh resume` before the next instruction" },
    rm: { help: "leave no word of their ends for `hvsh wait`" },
    set: setFlag,
    timeout: {
      value: "seconds",
      metavar: "SECONDS",
      help: "end each after that, with status 124",
    },
  },
  arguments: [{ ...vmNames, name: "VM" }], // NAME is the copy's
  reads: "handles",
  writes: "handles",
  examples: [
    { line: "hvsh pause gold && hvsh fork gold -n try1 | hvsh resume", needs: "kvm" },
    {
      line: "hvsh fork gold --rm | hvsh mem write 0x20000 input | hvsh resume --wait --timeout 1",
      needs: "kvm",
    },
  ],
  async run(words, context) {
    const { count = 1 } = words;
    if (!Number.isInteger(count) || (count as number) < 1) {
      throw new UsageError(`--count ${count}: it is no number of VMs`);
    }
    for await (const vm of namedVms({ name: words.vm }, context)) {
      using connection = await RpcConnection.open(vm.control); // the source is there as long
      const from = await connection.call("fork.source") as ForkRecord;
      using meter = new Meter(context, {
        ...{ label: vm.name, unit: "copies", prints: true },
        total: count as number,
      });
      for (let i = 1; i <= (count as number); i++) {
        await context.emit(await fork(from, nameOf(words.name, vm, count as number, i), words));
        meter.done = i;
      }
    }
    return 0;
  },
};

/** The process's number makes names that no other stage gives. */
function nameOf(own: Words[string], vm: RunDirectory, count: number, number: number): string {
  const name = typeof own === "string" ? own : `${vm.name}-${Deno.pid}`;
  return count === 1 ? name : `${name}-${number}`;
}

async function fork(
  from: ForkRecord,
  name: string,
  { set = [], paused, rm, timeout }: Words,
): Promise<Handle> {
  const changes: Record<string, Record<string, unknown>> = {};
  for (const [device, key, value] of (set as readonly string[]).map(deviceChange)) {
    changes[device] = { ...changes[device], [key]: value };
  }
  return await detach({
    fork: { from, name, set: changes },
    options: {
      paused: paused === true || from.paused,
      rm: rm === true,
      ...(typeof timeout === "number" ? { timeout } : {}),
    },
  });
}
