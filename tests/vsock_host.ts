/**
 * Programs on the host that use a virtio socket device's unix sockets, for tests: each call does what
 * it can at once, nothing waits.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import { closeFile } from "../ffi/files.ts";
import { receiveBytes, sendBytes, shutdownSocket } from "../ffi/stream_socket.ts";
import { acceptClient, UnixListener } from "../ffi/unix_listener.ts";
import { connectUnixSocket } from "../ffi/unix_socket.ts";

/** One end of a connection. */
export class HostSocket implements Disposable {
  /** -1 once it is closed, so that another socket that gets its number is left alone. */
  #fd: number;

  /** @param fd Its descriptor */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Connects to a path. */
  static connect(path: string): HostSocket {
    return new HostSocket(connectUnixSocket(path));
  }

  /** Sends; gives how many bytes were taken, or a negative error number. */
  send(data: string | Uint8Array<ArrayBuffer>): number {
    return sendBytes(this.#fd, typeof data === "string" ? new TextEncoder().encode(data) : data);
  }

  /** Receives up to some bytes that are there; undefined if none are, empty at the end. */
  receive(most = 2 ** 20): Uint8Array<ArrayBuffer> | undefined {
    const bytes = new Uint8Array(new ArrayBuffer(most));
    const count = receiveBytes(this.#fd, bytes);
    if (count === -Errno.EAGAIN) return undefined;
    return bytes.subarray(0, Math.max(count, 0)); // a reset is an end as well
  }

  /** The same as text; undefined if nothing is there. */
  text(): string | undefined {
    const bytes = this.receive();
    return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
  }

  /** Ends a direction, a `Shutdown`. */
  shutdown(how: number): void {
    shutdownSocket(this.#fd, how);
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeFile(this.#fd);
    this.#fd = -1;
  }
}

/** A program that listens. */
export class HostServer implements Disposable {
  readonly #listener: UnixListener;

  /** @param path Where */
  constructor(path: string) {
    this.#listener = new UnixListener(path);
  }

  /** Takes the next client. */
  accept(): HostSocket {
    const fd = acceptClient(this.#listener.fd);
    if (fd === undefined) throw new Error("Nobody has connected");
    return new HostSocket(fd);
  }

  [Symbol.dispose](): void {
    this.#listener[Symbol.dispose]();
  }
}
