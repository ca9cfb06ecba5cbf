/**
 * Who is at the other end of the clients of a listening unix socket (SO_PEERCRED, unix(7)). Deno does
 * not tell which descriptors its connections have, so those that this process has accepted at a path
 * are looked for among all that it has open.
 *
 * @module
 */
import { libc } from "./libc.ts";

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_ACCEPTCONN = 30;
const AF_UNIX = 1;
/** `struct sockaddr_un`, and `struct ucred`: pid, uid, gid. */
const ADDRESS_BYTES = 110;
const UID = 1;

const decoder = new TextDecoder();

/**
 * The users at the other ends of the connections that this process has accepted at a path.
 *
 * @param path Where it listens
 * @returns User ids, one a connection
 */
export function peersAt(path: string): number[] {
  const users: number[] = [];
  for (const { name } of [...Deno.readDirSync("/proc/self/fd")]) {
    const fd = Number(name);
    if (socketPath(fd) !== path || option(fd, SO_ACCEPTCONN, 1)?.[0] !== 0) continue;
    const credentials = option(fd, SO_PEERCRED, 3);
    if (credentials !== undefined) users.push(credentials[UID]! >>> 0);
  }
  return users;
}

/** The path that a descriptor is bound to; undefined if it is no unix socket with one. */
function socketPath(fd: number): string | undefined {
  const address = new Uint8Array(ADDRESS_BYTES);
  const length = new Uint32Array([ADDRESS_BYTES]);
  if (libc.getsockname(fd, address, length) < 0) return undefined; // no socket, or closed by now
  if (address[0] !== AF_UNIX) return undefined;
  const name = address.subarray(2, Math.min(length[0]!, ADDRESS_BYTES));
  const end = name.indexOf(0);
  return end === 0 ? undefined : decoder.decode(end < 0 ? name : name.subarray(0, end));
}

function option(fd: number, name: number, words: number): Int32Array | undefined {
  const value = new Int32Array(words);
  const length = new Uint32Array([value.byteLength]);
  return libc.getsockopt(fd, SOL_SOCKET, name, value, length) < 0 ? undefined : value;
}
