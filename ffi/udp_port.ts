/**
 * Whether a UDP port of the host is free.
 *
 * @module
 */
import { closeFile } from "./files.ts";
import { check, libc } from "./libc.ts";

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SOCKADDR_BYTES = 16;

/**
 * Takes a port and gives it back at once.
 *
 * @param address An IPv4 address of this host, four bytes
 * @param port 1 to 65535
 * @throws {HostError} If it cannot be had
 */
export function tryUdpPort(address: readonly number[], port: number): void {
  const name = new DataView(new ArrayBuffer(SOCKADDR_BYTES));
  name.setUint16(0, AF_INET, true);
  name.setUint16(2, port);
  address.forEach((byte, i) => name.setUint8(4 + i, byte));
  const fd = check(libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0), "socket");
  try {
    check(libc.bind(fd, new Uint8Array(name.buffer), SOCKADDR_BYTES), "bind");
  } finally {
    closeFile(fd);
  }
}
