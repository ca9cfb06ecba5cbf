/**
 * How a VM came to its end, and the exit status that a shell sees for it.
 *
 * @module
 */
import type { EndKind } from "./arena.ts";
import type { Fault } from "./cpu/fault.ts";

/** Why a VM ended. */
export type VmEndKind = EndKind | "killed" | "timeout" | "migrated";

/** How a VM ended. */
export interface VmEnd {
  /** Why. */
  readonly kind: VmEndKind;
  /** The exit status for a shell. */
  readonly status: number;
  /** What a vCPU ran into, for `triple-fault` and `fault`. */
  readonly fault?: Fault;
}

/** Exit statuses that aren't the guest's own. */
export const ExitStatus = {
  PANIC: 101,
  TRIPLE_FAULT: 102,
  TIMEOUT: 124,
  FAILED: 125,
  KILLED: 137,
} as const;

/**
 * The exit status of a VM that ended.
 *
 * @param kind Why it ended
 * @param guest The guest's own status, if it gave one
 * @param panicked Whether its console told of a kernel panic before
 * @returns 0 to 255
 */
export function exitStatus(kind: VmEndKind, guest: number, panicked: boolean): number {
  switch (kind) {
    case "panic":
      return ExitStatus.PANIC;
    case "triple-fault":
      return ExitStatus.TRIPLE_FAULT;
    case "fault":
      return ExitStatus.FAILED;
    case "timeout":
      return ExitStatus.TIMEOUT;
    case "killed":
      return ExitStatus.KILLED;
    case "exit":
      return guest & 0xff;
    case "migrated": // it goes on elsewhere
      return 0;
    case "halt":
    case "poweroff":
    case "reset": // a kernel told to reboot on panic ends like this
      return panicked ? ExitStatus.PANIC : 0;
  }
}
