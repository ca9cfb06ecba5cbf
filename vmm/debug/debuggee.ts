/**
 * A machine as its debugger sees it.
 *
 * @module
 */
import { call } from "../../ffi/kvm/call.ts";
import { Capability } from "../../ffi/kvm/ioctl.ts";
import { type Arena, Request } from "../arena.ts";
import type { DeviceHost, DeviceSet } from "../device_set.ts";
import type { GuestMemory } from "../guest_memory.ts";
import type { Machine } from "../machine.ts";
import type { MachineThreads } from "../machine_threads.ts";
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";
import { debugAbilities } from "./debug_probe.ts";
import type { DebugStop } from "./debug_stop.ts";
import { Debugger } from "./debugger.ts";
import { findKernel } from "./kernel_symbols.ts";
import { OwnMemory } from "./physical_memory.ts";

/** Addresses of kernels in 64 bits. */
const UPPER_HALF = 2n ** 63n;

/** What a machine gives its debugger beside itself. */
export interface DebuggeeParts {
  readonly arena: Arena;
  readonly vcpus: readonly Vcpu[];
  readonly devices: DeviceSet;
  readonly host: DeviceHost;
}

/** What the debugger does to a machine. */
export interface DebuggeeHooks {
  /** Whether the machine comes to its end. */
  ending(): boolean;
  /** Takes its disks back from copies. */
  reclaim(): void;
  /** It is paused now. */
  stopped(stop: DebugStop): void;
  /** The debugger has failed. */
  failed(error: unknown): void;
}

/**
 * Makes the debugger of a machine.
 *
 * @param machine The machine
 * @param parts What it consists of
 * @param threads What runs its vCPUs
 * @param hooks What the debugger does to it
 * @returns The debugger; nothing is set
 */
export function openDebugger(
  machine: Machine,
  { arena, vcpus, devices, host }: DebuggeeParts,
  threads: MachineThreads,
  hooks: DebuggeeHooks,
): Debugger {
  return new Debugger({
    vcpus,
    arena,
    memory: devices.memory,
    controls: call(host.vmFd, "CHECK_EXTENSION", Capability.SET_GUEST_DEBUG2),
    state: () => machine.state,
    inspect: (work) => machine.inspect(work),
    abilities: debugAbilities(),
    irqchip: host.irqchip,
    futurePlace: kernelPlace(devices.memory),
    holdSoon: () => threads.request(Request.PAUSE),
    ...hooks,
  });
}

/** Where a kernel's own code lies before it has made its page tables: it is one piece of memory. */
function kernelPlace(memory: GuestMemory): (linear: bigint) => number | undefined {
  let distance: bigint | undefined;
  return (linear) => {
    if (linear < UPPER_HALF) return undefined;
    distance ??= findKernel(new OwnMemory(memory))?.virtualMinusPhysical;
    const physical = distance === undefined ? -1n : linear - distance;
    return physical < 0n ? undefined : Number(physical);
  };
}
