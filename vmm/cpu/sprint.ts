/**
 * The first moments of a small VM, run on the calling thread: a VM that ends within them never
 * needs a thread of its own, whose start would take longer than all the rest.
 *
 * @module
 */
import { ThreadTimer } from "../../ffi/thread_timer.ts";
import type { Fault } from "./fault.ts";
import { runVcpu, UNFINISHED, type VcpuPlace } from "./loop.ts";

/** How long the calling thread is held up at most. */
export const SPRINT_MILLISECONDS = 20;

/**
 * Runs a vCPU for a bounded time.
 *
 * @param place What it runs on
 * @returns As {@linkcode runVcpu}, but nobody changes a machine within its first moments
 */
export function sprint(place: Omit<VcpuPlace, "yields">): Fault | typeof UNFINISHED | undefined {
  using _timer = new ThreadTimer(SPRINT_MILLISECONDS);
  const result = runVcpu({ ...place, yields: true });
  return typeof result === "symbol" ? UNFINISHED : result;
}
