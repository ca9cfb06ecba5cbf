/**
 * The three streams that a process is born with.
 *
 * @module
 */
import { closeFile, openFile, OpenFlag } from "./files.ts";
import { check, libc } from "./libc.ts";

const NOWHERE = "/dev/null";
const STREAMS = [0, 1, 2] as const;

/**
 * Lets go of them for the process that outlives who started it: their descriptors lead nowhere from now
 * on. They stay open: no other file gets their numbers, and a write to a pipe that nobody reads any more,
 * which would end Deno where it says something itself, cannot fail.
 *
 * @throws {HostError} If /dev/null cannot be opened
 */
export function leaveStandardStreams(): void {
  const nowhere = openFile(NOWHERE, OpenFlag.RDWR);
  try {
    for (const stream of STREAMS) check(libc.dup2(nowhere, stream), "dup2");
  } finally {
    closeFile(nowhere);
  }
}
