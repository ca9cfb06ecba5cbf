/**
 * Ports of the host that lead to the guest: `tcp:8080:80`, `udp:127.0.0.2:5353:53`.
 *
 * @module
 */
import { parseIpv4 } from "./addresses.ts";

/** One forwarded port. */
export interface Forward {
  readonly protocol: "tcp" | "udp";
  /** The host's address that it listens on, four bytes. */
  readonly address: readonly number[];
  /** The host's port, 1 to 65535. */
  readonly hostPort: number;
  /** The guest's port, 1 to 65535. */
  readonly guestPort: number;
}

/** Nobody but this host reaches a port that was forwarded without an address. */
const LOOPBACK = [127, 0, 0, 1];

/**
 * Reads a forwarded port.
 *
 * @param text `PROTOCOL:[ADDRESS:]HOSTPORT:GUESTPORT`
 * @returns The port, listening on loopback if there is no address
 * @throws {TypeError} Saying what is wrong with it
 */
export function parseForward(text: string): Forward {
  const parts = text.split(":");
  const [protocol, ...rest] = parts;
  if (protocol !== "tcp" && protocol !== "udp") {
    throw new TypeError(`"${text}" does not start with tcp: or udp:`);
  }
  if (rest.length !== 2 && rest.length !== 3) {
    throw new TypeError(`"${text}" is not PROTOCOL:[ADDRESS:]HOSTPORT:GUESTPORT`);
  }
  const address = rest.length === 3 ? parseIpv4(rest.shift()!) : LOOPBACK;
  if (address === undefined) throw new TypeError(`"${text}" names no IPv4 address`);
  const [hostPort, guestPort] = rest.map((port) => parsePort(port, text));
  return { protocol, address, hostPort: hostPort!, guestPort: guestPort! };
}

function parsePort(port: string, text: string): number {
  const number = /^[1-9]\d{0,4}$/.test(port) ? Number(port) : 0;
  if (number < 1 || number > 65535) {
    throw new TypeError(`"${text}": "${port}" is no port from 1 to 65535`);
  }
  return number;
}
