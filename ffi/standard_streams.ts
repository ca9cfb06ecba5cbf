/**
 * The three streams that a process is born with.
 *
 * @module
 */
import { closeFile, duplicate, openFile, OpenFlag } from "./files.ts";
import { check, libc } from "./libc.ts";

const NOWHERE = "/dev/null";
const STREAMS = [0, 1, 2] as const;
const OPEN = "/proc/self/fd";

/** Copies that are not let go of. */
const kept = new Set<number>();

/**
 * Makes a copy of stdin that stays what it is after {@linkcode leaveStandardStreams}: a stream that is read
 * for longer.
 *
 * @returns A descriptor, closed on exec
 * @throws {HostError} If there is no more room
 */
export function keepStdin(): number {
  const fd = duplicate(0);
  kept.add(fd);
  return fd;
}

/**
 * Lets go of them for the process that outlives who started it: their descriptors lead nowhere from now
 * on, and so do the copies that Deno has made of them, or a pipe's other end would never see that nobody
 * is there any more. They stay open: no other file gets their numbers, and a write to a pipe that nobody
 * reads any more, which would end Deno where it says something itself, cannot fail.
 *
 * @throws {HostError} If /dev/null cannot be opened
 */
export function leaveStandardStreams(): void {
  const left = new Set(STREAMS.map(targetOf).filter((target) => /^(pipe|socket):/.test(target)));
  const copies = [...Deno.readDirSync(OPEN)].map(({ name }) => Number(name))
    .filter((fd) => left.has(targetOf(fd)) && !kept.has(fd));
  const nowhere = openFile(NOWHERE, OpenFlag.RDWR);
  try {
    for (const fd of new Set([...STREAMS, ...copies])) check(libc.dup2(nowhere, fd), "dup2");
  } finally {
    closeFile(nowhere);
  }
}

/** What a descriptor leads to; nothing if it is closed. */
function targetOf(fd: number): string {
  try {
    return Deno.readLinkSync(`${OPEN}/${fd}`);
  } catch {
    return "";
  }
}
