/**
 * Reads and writes descriptors that other processes share, whose mode is therefore not to be
 * changed, without holding this thread up.
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { HostError } from "./errors.ts";
import { EventFd } from "./eventfd.ts";
import { seekBy } from "./files.ts";
import { errno, libc } from "./libc.ts";

/** poll.h */
const POLLIN = 1;
const POLLOUT = 4;
/** A pipe that says it has room takes as much at once (pipe(7), PIPE_BUF). */
const PIPE_BUF = 4096;
/** Bytes of a `struct pollfd`, and where it has what has happened. */
const POLLFD_BYTES = 8;
const REVENTS = 6;

/**
 * Reads some bytes.
 *
 * @param fd The descriptor
 * @param buffer Where to
 * @param signal Ends the wait for them
 * @returns How many; 0 at the end, or where the signal came first
 * @throws {HostError} If it cannot be read
 */
export async function readSome(
  fd: number,
  buffer: Uint8Array<ArrayBuffer>,
  signal?: AbortSignal,
): Promise<number> {
  for (;;) {
    if (!await ready(fd, POLLIN, signal)) return 0;
    const count = Number(libc.read(fd, buffer, BigInt(buffer.length)));
    if (count >= 0) return count;
    const code = errno();
    if (code === Errno.EIO) return 0; // a terminal that has hung up, or that is another's now
    if (code !== Errno.EINTR && code !== Errno.EAGAIN) throw new HostError("read", code);
  }
}

/**
 * Writes all of some bytes.
 *
 * @param fd The descriptor
 * @param bytes The bytes
 * @param signal Ends it early
 * @throws {HostError} If it cannot be written; with EPIPE if nobody reads any more
 */
export async function writeAll(fd: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
  const most = seekBy(fd, 0) ? bytes.length : PIPE_BUF; // a file takes all of it at once
  for (let done = 0; done < bytes.length;) {
    if (!await ready(fd, POLLOUT, signal)) return;
    const piece = bytes.slice(done, done + most);
    const count = Number(libc.write(fd, piece, BigInt(piece.length)));
    if (count >= 0) {
      done += count;
      continue;
    }
    const code = errno();
    if (code !== Errno.EINTR && code !== Errno.EAGAIN) throw new HostError("write", code);
  }
}

/**
 * Writes bytes now, as far as that goes: what a person is told, which nothing waits for.
 *
 * @param fd The descriptor
 * @param bytes The bytes
 */
export function writeNow(fd: number, bytes: Uint8Array<ArrayBuffer>): void {
  for (let done = 0; done < bytes.length;) {
    const count = Number(libc.write(fd, bytes.subarray(done), BigInt(bytes.length - done)));
    if (count < 0 && errno() === Errno.EINTR) continue;
    if (count <= 0) return;
    done += count;
  }
}

/** Waits; false if the signal came first. */
async function ready(fd: number, events: number, signal?: AbortSignal): Promise<boolean> {
  const over = () => signal?.aborted === true;
  if (over()) return false;
  if (libc.poll(pollfds([fd, events]), 1n, 0) > 0) return true;
  // It ends by this, so that no call is under way when the wait is over.
  using aborted = signal && new EventFd();
  const abort = () => aborted?.signal();
  signal?.addEventListener("abort", abort);
  try {
    const asked = aborted === undefined
      ? pollfds([fd, events])
      : pollfds([fd, events], [aborted.fd, POLLIN]);
    const count = BigInt(asked.length / POLLFD_BYTES);
    const view = new DataView(asked.buffer);
    for (;;) {
      // Another thread makes the call: what it is given lives for as long as it is used below.
      await libc.poll_slow(asked, count, -1);
      if (over()) return false;
      if (view.getInt16(REVENTS, true) !== 0) return true; // what is wrong with it, reading or writing says
    }
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** `struct pollfd`s (poll.h). */
function pollfds(...list: [fd: number, events: number][]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(list.length * POLLFD_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [i, [fd, events]] of list.entries()) {
    view.setInt32(i * POLLFD_BYTES, fd, true);
    view.setInt16(i * POLLFD_BYTES + 4, events, true);
  }
  return bytes;
}
