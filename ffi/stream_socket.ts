/**
 * Bytes in and out of connected stream sockets, scattered over this process's memory, with nothing
 * allocated on the way. Failures are numbers, since most of them (EAGAIN) are no failures.
 *
 * @module
 */
import { addressOf } from "./address_of.ts";
import { errno, libc } from "./libc.ts";
import { struct, u32, u64 } from "./struct.ts";

const MSG_PEEK = 2;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** IOV_MAX of Linux. */
const MOST_VECTORS = 1024;

/** `struct msghdr` */
export const msghdr = struct("msghdr", {
  msg_name: u64,
  msg_namelen: u32,
  msg_iov: u64,
  msg_iovlen: u64,
  msg_control: u64,
  msg_controllen: u64,
  msg_flags: u32,
});

/** The directions of {@linkcode shutdownSocket}. */
export const Shutdown = { RD: 0, WR: 1 } as const;

/** `struct iovec`s for sockets, filled in by the caller. */
export class SocketVectors {
  /** 1024 entries of base and length, two `u64` each. */
  readonly iovecs: Uint32Array<ArrayBuffer> = new Uint32Array(4 * MOST_VECTORS);
  readonly #message = new msghdr();
  readonly #header: Uint8Array<ArrayBuffer>;

  constructor() {
    this.#message.msg_iov = BigInt(addressOf(this.iovecs));
    this.#header = this.#message.bytes();
  }

  /**
   * Sets an entry.
   *
   * @param index Which, 0 to 1023
   * @param address Where the bytes are in this process
   * @param length How many
   */
  set(index: number, address: number, length: number): void {
    const at = 4 * index;
    this.iovecs[at] = address;
    this.iovecs[at + 1] = address / 2 ** 32;
    this.iovecs[at + 2] = length;
    this.iovecs[at + 3] = length / 2 ** 32;
  }

  /**
   * Sends what the first entries say. A peer that is gone is EPIPE, never SIGPIPE.
   *
   * @param fd A socket
   * @param count How many entries
   * @returns How many bytes were taken, or a negative error number
   */
  send(fd: number, count: number): number {
    // The entries are few: only the low half of the count is ever set.
    this.#message.view.setUint32(msghdr.offsets.msg_iovlen, count, true);
    const sent = libc.sendmsg(fd, this.#header, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno() : sent;
  }

  /**
   * Receives into the first entries.
   *
   * @param fd A non-blocking socket
   * @param count How many entries
   * @returns How many bytes came, 0 at the end of the stream, or a negative error number
   */
  receive(fd: number, count: number): number {
    const got = libc.readv(fd, this.iovecs, count);
    return got < 0 ? -errno() : got;
  }
}

/**
 * Looks at the bytes that wait without taking them.
 *
 * @param fd A socket
 * @param target Where to
 * @returns How many bytes there are, 0 at the end of the stream, or a negative error number
 */
export function peekSocket(fd: number, target: Uint8Array<ArrayBuffer>): number {
  const got = libc.recv(fd, target, BigInt(target.length), MSG_PEEK | MSG_DONTWAIT);
  return got < 0n ? -errno() : Number(got);
}

/**
 * Takes bytes.
 *
 * @param fd A socket
 * @param target Where to
 * @returns How many bytes came, 0 at the end of the stream, or a negative error number
 */
export function receiveBytes(fd: number, target: Uint8Array<ArrayBuffer>): number {
  const got = libc.recv(fd, target, BigInt(target.length), MSG_DONTWAIT);
  return got < 0n ? -errno() : Number(got);
}

/**
 * Sends bytes.
 *
 * @param fd A socket
 * @param source The bytes
 * @returns How many were taken, or a negative error number
 */
export function sendBytes(fd: number, source: Uint8Array<ArrayBuffer>): number {
  const sent = libc.send(fd, source, BigInt(source.length), MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent < 0n ? -errno() : Number(sent);
}

/**
 * Ends one direction of a connection. A peer that has gone already needs none.
 *
 * @param fd A socket
 * @param how A {@linkcode Shutdown}
 */
export function shutdownSocket(fd: number, how: number): void {
  libc.shutdown(fd, how);
}
