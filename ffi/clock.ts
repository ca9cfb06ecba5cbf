/**
 * The host's clocks. `performance.now()` starts anew in each isolate; devices need one time that
 * all threads share.
 *
 * @module
 */
import { libc } from "./libc.ts";

const CLOCK_MONOTONIC = 1;
const timespec = new DataView(new ArrayBuffer(16));

/** Nanoseconds of CLOCK_MONOTONIC, exact for 104 days from the host's start, then to a few of them. */
export function monotonicNanoseconds(): number {
  libc.clock_gettime(CLOCK_MONOTONIC, timespec);
  const seconds = timespec.getUint32(0, true) + timespec.getUint32(4, true) * 2 ** 32;
  return seconds * 1e9 + timespec.getUint32(8, true);
}

/** Milliseconds of CLOCK_MONOTONIC, the same in every thread. */
export function monotonicMilliseconds(): number {
  libc.clock_gettime(CLOCK_MONOTONIC, timespec);
  const seconds = timespec.getUint32(0, true) + timespec.getUint32(4, true) * 2 ** 32;
  return seconds * 1000 + timespec.getUint32(8, true) / 1e6;
}
