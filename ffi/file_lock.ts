/**
 * Locks on single bytes of a file (fcntl(2), "Open file description locks"): the kernel drops them
 * with the last descriptor of their opening, whatever way the process ends, and who only wants to
 * know whether a byte is locked need not lock it.
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { HostError } from "./errors.ts";
import { check, cString, errno, libc } from "./libc.ts";

const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_OFD_SETLKW = 38;
const F_WRLCK = 1;
const F_UNLCK = 2;
/** `struct flock` of 64-bit systems: l_type and l_whence, l_start at 8, l_len at 16, l_pid. */
const FLOCK_BYTES = 32;
const L_START = 8 / 8;
const L_LEN = 16 / 8;

const AT_EMPTY_PATH = 0x1000;
const STATX_NLINK = 4;
const STATX_BYTES = 256;
/** Index of `stx_nlink` in `struct statx` as 32-bit words. */
const STX_NLINK = 16 / 4;

function flock(type: number, byte: number): Uint8Array<ArrayBuffer> {
  const lock = new BigInt64Array(FLOCK_BYTES / 8);
  lock[L_START] = BigInt(byte);
  lock[L_LEN] = 1n;
  const bytes = new Uint8Array(lock.buffer);
  bytes[0] = type;
  return bytes;
}

/**
 * Locks a byte without waiting.
 *
 * @param fd The file, open for writing
 * @param byte Which byte; there need be none
 * @returns False if another opening of the file holds it
 * @throws {HostError} On any other failure
 */
export function tryLockByte(fd: number, byte: number): boolean {
  if (libc.fcntl_lock(fd, F_OFD_SETLK, flock(F_WRLCK, byte)) === 0) return true;
  const code = errno();
  if (code === Errno.EAGAIN || code === Errno.EACCES) return false;
  throw new HostError("fcntl", code);
}

/**
 * Locks a byte that is never held for long; blocks the thread until it is free.
 *
 * @param fd The file, open for writing
 * @param byte Which byte
 * @throws {HostError} If it cannot be locked
 */
export function lockByte(fd: number, byte: number): void {
  while (libc.fcntl_lock(fd, F_OFD_SETLKW, flock(F_WRLCK, byte)) < 0) {
    const code = errno();
    if (code !== Errno.EINTR) throw new HostError("fcntl", code);
  }
}

/**
 * Gives a byte back.
 *
 * @param fd The file
 * @param byte Which byte
 */
export function unlockByte(fd: number, byte: number): void {
  check(libc.fcntl_lock(fd, F_OFD_SETLK, flock(F_UNLCK, byte)), "fcntl");
}

/**
 * Looks whether another opening of a file holds a byte, without taking it.
 *
 * @param fd The file
 * @param byte Which byte
 */
export function isByteLocked(fd: number, byte: number): boolean {
  const lock = flock(F_WRLCK, byte);
  check(libc.fcntl_lock(fd, F_OFD_GETLK, lock), "fcntl");
  return lock[0] !== F_UNLCK;
}

/**
 * Looks whether an open file still has a name: whether nobody has removed it.
 *
 * @param fd The file
 */
export function hasName(fd: number): boolean {
  const status = new Uint32Array(STATX_BYTES / 4);
  const bytes = new Uint8Array(status.buffer);
  check(libc.statx(fd, cString(""), AT_EMPTY_PATH, STATX_NLINK, bytes), "statx");
  return status[STX_NLINK]! > 0;
}
