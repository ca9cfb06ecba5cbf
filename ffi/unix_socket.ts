/**
 * Unix stream sockets by descriptor (unix(7)).
 *
 * @module
 */
import { HostError } from "./errors.ts";
import { Errno } from "./errno.ts";
import { closeFile } from "./files.ts";
import { check, errno, libc } from "./libc.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const F_SETFD = 2;
const ADDRESS_BYTES = 108;

/**
 * Connects to a unix stream socket.
 *
 * @param path The socket's path, at most 107 bytes
 * @returns A non-blocking descriptor, closed on exec
 * @throws {HostError} If nobody listens there
 * @throws {TypeError} If the path is too long
 */
export function connectUnixSocket(path: string): number {
  const address = unixAddress(path);
  const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = check(libc.socket(AF_UNIX, type, 0), "socket");
  if (libc.connect(fd, address, address.length) < 0) {
    const code = errno();
    closeFile(fd);
    throw new HostError("connect", code, {
      path,
      hint: code === Errno.EAGAIN
        ? "its server takes nobody in just now"
        : "a server must listen there before the VM starts",
    });
  }
  return fd;
}

/**
 * A `struct sockaddr_un`.
 *
 * @param path The socket's path, at most 107 bytes
 * @returns Its bytes
 * @throws {TypeError} If the path is too long
 */
export function unixAddress(path: string): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(path);
  if (name.length >= ADDRESS_BYTES || path.includes("\0")) {
    throw new TypeError(`"${path}" is no path of a socket, which has 107 bytes at most`);
  }
  const address = new Uint8Array(2 + ADDRESS_BYTES);
  address[0] = AF_UNIX;
  address.set(name, 2);
  return address;
}

/**
 * Makes two unix stream sockets that are connected to each other.
 *
 * @returns Two descriptors, closed on exec: the first non-blocking, the second blocking
 * @throws {HostError} If the process has no descriptor left
 */
export function socketPair(): readonly [number, number] {
  const pair = new Int32Array(2);
  const type = SOCK_STREAM | SOCK_CLOEXEC;
  check(libc.socketpair(AF_UNIX, type, 0, pair), "socketpair");
  const [first, second] = [pair[0]!, pair[1]!];
  try {
    setNonBlocking(first);
  } catch (error) {
    closeFile(first);
    closeFile(second);
    throw error;
  }
  return [first, second];
}

/**
 * Lets a descriptor through to the next program that this process starts. Close it right after.
 *
 * @param fd The descriptor
 * @throws {HostError} If it is not open
 */
export function keepOnExec(fd: number): void {
  check(libc.fcntl(fd, F_SETFD, 0), "fcntl");
}

function setNonBlocking(fd: number): void {
  const F_GETFL = 3;
  const F_SETFL = 4;
  const flags = check(libc.fcntl(fd, F_GETFL, 0), "fcntl");
  check(libc.fcntl(fd, F_SETFL, flags | SOCK_NONBLOCK), "fcntl");
}
