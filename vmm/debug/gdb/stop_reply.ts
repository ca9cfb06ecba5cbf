/**
 * What GDB is told when the VM stands (GDB manual, E.3 "Stop Reply Packets").
 *
 * @module
 */
import type { VmEnd } from "../../end.ts";
import type { DebugStop } from "../debug_stop.ts";

/** Signals by GDB's numbers. */
export const Signal = { INT: 2, TRAP: 5, KILL: 9 } as const;

/**
 * Tells of a stop.
 *
 * @param signal Why, a {@linkcode Signal}
 * @param cpu The vCPU
 * @param stop What the debugger has met
 * @param details Whether GDB asked for what kind of breakpoint of its own it was, and which it is
 */
export function stopReply(
  signal: number,
  cpu: number,
  stop: DebugStop | undefined,
  details: { swbreak: boolean; hwbreak: boolean; type: number | undefined },
): string {
  const met = stop?.breakpoint;
  let more = "";
  if (met !== undefined && met.kind !== "execute") {
    more = `${met.kind === "write" ? "watch" : "awatch"}:${met.address.toString(16)};`;
  } else if (details.type === 0 && details.swbreak) more = "swbreak:;";
  else if (details.type === 1 && details.hwbreak) more = "hwbreak:;";
  return `T${byte(signal)}thread:${(cpu + 1).toString(16)};${more}`;
}

/**
 * Tells of the VM's end.
 *
 * @param end How it ended
 */
export function endReply(end: Pick<VmEnd, "kind" | "status">): string {
  return end.kind === "killed" ? `X${byte(Signal.KILL)}` : `W${byte(end.status & 0xff)}`;
}

function byte(value: number): string {
  return value.toString(16).padStart(2, "0");
}
