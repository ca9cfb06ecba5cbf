/**
 * How many descriptors this process may still open (getrlimit(2), RLIMIT_NOFILE).
 *
 * @module
 */
import { check, libc } from "./libc.ts";

const RLIMIT_NOFILE = 7;
const F_GETFD = 1;

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
  for (let fd = 0; free < count && fd < limit[0]!; fd++) {
    if (libc.fcntl(fd, F_GETFD, 0) < 0) free++;
  }
  return free >= count;
}
