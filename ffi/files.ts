/**
 * Files by descriptor. Deno's own file API asks for more permission under /dev, /proc and /sys than
 * FFI does, and has no descriptors to hand to ioctl.
 *
 * @module
 */
import { HostError } from "./errors.ts";
import { check, cString, errno, libc } from "./libc.ts";
import { Errno } from "./errno.ts";

const O_CLOEXEC = 0o2000000;

/** How to open: the access modes and flags of open(2), without O_CLOEXEC, which is always set. */
export const OpenFlag = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  NOCTTY: 0o400,
  EXCL: 0o200,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
} as const;

/**
 * Opens a file.
 *
 * @param path Its path
 * @param flags {@linkcode OpenFlag}s, added up
 * @param mode Permissions of a file that is made by this
 * @returns A file descriptor, closed on exec
 * @throws {HostError} With the path
 */
export function openFile(path: string, flags: number, mode = 0o600): number {
  return check(libc.open(cString(path), flags | O_CLOEXEC, mode), "open", { path });
}

/**
 * Opens a FIFO, which waits for somebody at its other side, without holding this thread up.
 *
 * @param path Its path
 * @param flags {@linkcode OpenFlag}s, added up
 * @param mode Permissions of a file that is made by this
 * @returns A file descriptor, closed on exec
 * @throws {HostError} With the path
 */
export async function openFileSlowly(path: string, flags: number, mode: number): Promise<number> {
  const name = cString(path);
  const fd = await libc.open_slow(name, flags | O_CLOEXEC, mode);
  if (fd >= 0) return fd;
  // What another thread's errno says is not known here; the next try says it, if that fails at once. It also
  // uses the name, which the other thread needs to be there still.
  const again = flags | OpenFlag.NONBLOCK | O_CLOEXEC;
  return check(libc.open(name, again, mode), "open", { path });
}

/**
 * Closes a descriptor.
 *
 * @param fd The descriptor
 * @throws {HostError} If it is not open
 */
export function closeFile(fd: number): void {
  check(libc.close(fd), "close");
}

const F_DUPFD_CLOEXEC = 1030;

/**
 * One more descriptor of an open file.
 *
 * @param fd The descriptor
 * @param least The least number that the other may have
 * @returns Another, closed on exec
 * @throws {HostError} If there is no more room
 */
export function duplicate(fd: number, least = 0): number {
  return check(libc.fcntl(fd, F_DUPFD_CLOEXEC, least), "fcntl");
}

/**
 * Writes all of some bytes at a place in a file.
 *
 * @param fd The file
 * @param bytes The bytes
 * @param position Bytes from the file's start
 * @throws {HostError} If they can't be written
 */
export function writeAt(fd: number, bytes: Uint8Array<ArrayBuffer>, position: number): void {
  for (let done = 0; done < bytes.length;) {
    const rest = bytes.subarray(done);
    const put = libc.pwrite(fd, rest, BigInt(rest.length), BigInt(position + done));
    if (put >= 0) done += Number(put);
    else if (errno() !== Errno.EINTR) throw new HostError("pwrite", errno());
  }
}

/**
 * Has what anybody wrote to a file reach its storage, without holding this thread up. Whoever has it open
 * already hears of a failure too, when it is their turn to ask.
 *
 * @param fd A descriptor of the file
 * @param path Its path, for messages
 * @throws {HostError} With the path, if it did not
 */
export async function syncFile(fd: number, path: string): Promise<void> {
  // The kernel tells each opening of a file once that a write failed: the descriptor's own is not to miss it.
  const own = openFile(`/proc/self/fd/${fd}`, OpenFlag.RDONLY | OpenFlag.NONBLOCK);
  try {
    if (await libc.fdatasync_slow(own) === 0) return;
    // What another thread's errno says is not known here; a failure that was told is an EIO as a rule.
    check(libc.fdatasync(own), "fdatasync", { path });
    throw new HostError("fdatasync", Errno.EIO, { path });
  } finally {
    closeFile(own);
  }
}

/**
 * Reads a whole small file, such as those of /proc and /sys.
 *
 * @param path Its path
 * @returns Its text
 * @throws {HostError} With the path
 */
export function readTextFile(path: string): string {
  const fd = openFile(path, OpenFlag.RDONLY);
  try {
    const decoder = new TextDecoder();
    const chunk = new Uint8Array(16384);
    let text = "";
    for (;;) {
      const count = Number(libc.read(fd, chunk, BigInt(chunk.length)));
      if (count === 0) return text + decoder.decode();
      if (count > 0) {
        text += decoder.decode(chunk.subarray(0, count), { stream: true });
      } else if (errno() !== Errno.EINTR) {
        throw new HostError("read", errno(), { path });
      }
    }
  } finally {
    libc.close(fd);
  }
}

const SEEK_CUR = 1;

/**
 * Moves the place where a descriptor is read and written.
 *
 * @param fd The descriptor
 * @param bytes How far, backwards if negative
 * @returns False if it has no such place, as a pipe and a terminal have none
 */
export function seekBy(fd: number, bytes: number): boolean {
  return libc.lseek(fd, BigInt(bytes), SEEK_CUR) >= 0;
}
