/**
 * Whether a descriptor takes what is written to it, at once (poll(2)).
 *
 * @module
 */
import { libc } from "./libc.ts";

const POLLOUT = 4;
/** `struct pollfd`: fd, events and revents behind it. */
const pollfd = new Int32Array(2);

/**
 * Asks without waiting.
 *
 * @param fd The descriptor
 * @returns False of a pipe or terminal that is full, or that somebody has stopped by Ctrl-S
 */
export function isWritable(fd: number): boolean {
  pollfd[0] = fd;
  pollfd[1] = POLLOUT;
  return libc.poll(new Uint8Array(pollfd.buffer), 1n, 0) > 0;
}
