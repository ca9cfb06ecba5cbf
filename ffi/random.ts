/**
 * The kernel's random numbers (getrandom(2)).
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { HostError } from "./errors.ts";
import { errno, libc } from "./libc.ts";

/**
 * Fills memory with random bytes. Waits only in the first seconds of a host's own life.
 *
 * @param target What to fill
 * @throws {HostError} If the kernel gives none
 */
export function fillRandom(target: Uint8Array<ArrayBuffer>): void {
  let filled = 0;
  while (filled < target.length) {
    const rest = filled === 0 ? target : target.subarray(filled);
    const got = Number(libc.getrandom(rest, BigInt(rest.length), 0));
    if (got >= 0) filled += got; // a signal cuts long reads short
    else if (errno() !== Errno.EINTR) throw new HostError("getrandom", errno());
  }
}
