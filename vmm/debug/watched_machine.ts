/**
 * A machine as its watchers see it.
 *
 * @module
 */
import type { Machine } from "../machine.ts";
import type { MachineParts } from "../machine_parts.ts";
import type { MachineThreads } from "../machine_threads.ts";
import type { WatchedMachine } from "./machine_watch.ts";

/**
 * Opens a machine for its watchers.
 *
 * @param machine The machine
 * @param parts What it consists of
 * @param threads What runs its vCPUs
 * @returns What watchers may do
 */
export function watchedMachine(
  machine: Machine,
  { vcpus, host, devices, layout }: MachineParts,
  threads: MachineThreads,
): WatchedMachine {
  return {
    cpus: vcpus.length,
    vmFd: host.vmFd,
    ended: machine.ended,
    get lives() {
      return machine.state === "running" || machine.state === "paused";
    },
    get devices() {
      return devices.devices;
    },
    deviceStats: () => machine.stats(),
    threadId: (vcpu) => layout.arena.threadId(vcpu),
    apply: (plan) => threads.change({ kind: "watch", plan }),
    kick: (vcpu) => threads.kick(vcpu),
    hold: (work) => machine.inspect(({ vcpus }) => work(vcpus)),
  };
}
