/**
 * How many descriptors this process may still open (getrlimit(2), RLIMIT_NOFILE).
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { HostError } from "./errors.ts";
import { check, errno, libc } from "./libc.ts";

const RLIMIT_NOFILE = 7;
/** How many descriptors to look at in one go. */
const CHUNK = 256;
/** In the second word of a `struct pollfd`, whose upper half is `revents`: nobody has it open. */
const POLLNVAL = 0x20 << 16;

/**
 * Whether so many descriptors are free. Nothing is kept for whoever asks.
 *
 * @param count How many
 * @returns Whether the process may open so many more
 */
export function hasDescriptors(count: number): boolean {
  const limit = new BigUint64Array(2);
  check(libc.getrlimit(RLIMIT_NOFILE, limit), "getrlimit");
  let free = 0;
  // Descriptors are given out from the lowest on, so this ends soon behind those in use.
  for (let first = 0; free < count && first < limit[0]!; first += CHUNK) {
    const length = Math.min(CHUNK, Number(limit[0]! - BigInt(first)));
    free += freeAmong(first, length);
  }
  return free >= count;
}

/** How many of these nobody has open: poll(2) says POLLNVAL of them. */
function freeAmong(first: number, length: number): number {
  const pollfds = new Int32Array(2 * length);
  for (let i = 0; i < length; i++) pollfds[2 * i] = first + i;
  while (libc.poll(new Uint8Array(pollfds.buffer), BigInt(length), 0) < 0) {
    const code = errno();
    if (code !== Errno.EINTR) throw new HostError("poll", code);
  }
  let free = 0;
  for (let i = 0; i < length; i++) if ((pollfds[2 * i + 1]! & POLLNVAL) !== 0) free++;
  return free;
}
