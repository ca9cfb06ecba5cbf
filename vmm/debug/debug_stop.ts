/**
 * Why a debugger has stopped a VM.
 *
 * @module
 */
import type { Breakpoint } from "./breakpoint_table.ts";

/** A stop. */
export interface DebugStop {
  /** What was met. */
  readonly reason: "breakpoint" | "watchpoint" | "step";
  /** The vCPU that met it. */
  readonly cpu: number;
  /** Linear address of its next instruction. */
  readonly pc: bigint;
  /** The breakpoint; left out for a step. */
  readonly breakpoint?: Breakpoint;
  /** Why its condition could not be asked. */
  readonly message?: string;
}

/** A stop as handles and events tell of it; JSON. */
export interface StopDetails {
  readonly reason?: DebugStop["reason"];
  readonly cpu?: number;
  /** `"0x…"`. */
  readonly pc?: string;
  /** The breakpoint's number. */
  readonly breakpoint?: number;
  readonly message?: string;
}

/**
 * Puts a stop into words.
 *
 * @param stop The stop, if there was one
 * @returns Empty without one
 */
export function stopDetails(stop: DebugStop | undefined): StopDetails {
  if (stop === undefined) return {};
  const { reason, cpu, pc, breakpoint, message } = stop;
  return {
    reason,
    cpu,
    pc: `0x${pc.toString(16)}`,
    ...(breakpoint === undefined ? {} : { breakpoint: breakpoint.id }),
    ...(message === undefined ? {} : { message }),
  };
}
