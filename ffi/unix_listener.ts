/**
 * Listening unix stream sockets: only their owner may connect, and a socket file that a killed
 * process left behind is replaced (unix(7)).
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { HostError } from "./errors.ts";
import { closeFile } from "./files.ts";
import { check, errno, libc } from "./libc.ts";
import { connectUnixSocket, unixAddress } from "./unix_socket.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const BACKLOG = 128;

/** A unix stream socket that listens at a path. */
export class UnixListener implements Disposable {
  /** Its descriptor, non-blocking and closed on exec. */
  readonly fd: number;
  /** Where its file is. */
  readonly path: string;
  readonly #inode: number | null;

  /**
   * Makes the file, with mode 600, and listens. What it replaces is only a socket that nobody listens
   * on any more.
   *
   * @param path Where, at most 107 bytes
   * @throws {HostError} If somebody listens there, or something else than a socket is there
   * @throws {TypeError} If the path is too long
   */
  constructor(path: string) {
    this.path = path;
    const address = unixAddress(path);
    const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    this.fd = check(libc.socket(AF_UNIX, type, 0), "socket");
    try {
      // Linux makes the file with the mode that the socket has: no moment at which others get in.
      check(libc.fchmod(this.fd, 0o600), "fchmod", { path });
      if (libc.bind(this.fd, address, address.length) < 0) {
        const code = errno();
        if (code !== Errno.EADDRINUSE) {
          const missing = code === Errno.ENOENT || code === Errno.ENOTDIR;
          throw new HostError("bind", code, {
            path,
            ...(missing ? { hint: "the folder of a socket must be there before" } : {}),
          });
        }
        removeStale(path);
        check(libc.bind(this.fd, address, address.length), "bind", { path });
      }
      check(libc.listen(this.fd, BACKLOG), "listen", { path });
    } catch (error) {
      closeFile(this.fd);
      throw error;
    }
    this.#inode = inodeOf(path);
  }

  /** Closes it and removes its file, unless that is another one's by now. */
  [Symbol.dispose](): void {
    if (this.#inode !== null && inodeOf(this.path) === this.#inode) Deno.removeSync(this.path);
    closeFile(this.fd);
  }
}

/**
 * Takes the next client of a listening socket.
 *
 * @param fd A listening socket, non-blocking
 * @returns The client's descriptor, non-blocking and closed on exec; undefined if none waits
 * @throws {HostError} If there is a client but no descriptor for it
 */
export function acceptClient(fd: number): number | undefined {
  const client = libc.accept4(fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (client >= 0) return client;
  const code = errno();
  if (code === Errno.EAGAIN || code === Errno.EINTR) return undefined;
  throw new HostError("accept4", code);
}

/** Nobody listens on a socket file that refuses: its owner is dead. */
function removeStale(path: string): void {
  const inUse = (hint: string) => new HostError("bind", Errno.EADDRINUSE, { path, hint });
  if (!Deno.lstatSync(path).isSocket) throw inUse("there is a file that is no socket");
  try {
    closeFile(connectUnixSocket(path));
  } catch (error) {
    if (!(error instanceof HostError) || error.errno !== Errno.ECONNREFUSED) throw error;
    Deno.removeSync(path);
    return;
  }
  throw inUse("another process listens there; choose another path");
}

function inodeOf(path: string): number | null {
  try {
    return Deno.lstatSync(path).ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
