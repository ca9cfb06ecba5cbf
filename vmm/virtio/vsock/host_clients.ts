/**
 * Clients on the host's side, up to the moment at which the guest is asked: a client connects to the
 * device's unix socket and says which port of the guest it wants, as Firecracker has it
 * (docs/vsock.md there):
 *
 *     CONNECT PORT\n         from the client
 *     OK HOSTPORT\n          to it, once the guest has accepted; it is hung up on otherwise
 *
 * @module
 */
import { EpollEvent } from "../../../ffi/epoll.ts";
import { HostError } from "../../../ffi/errors.ts";
import { Errno } from "../../../ffi/errno.ts";
import { closeFile } from "../../../ffi/files.ts";
import { peekSocket, receiveBytes } from "../../../ffi/stream_socket.ts";
import { acceptClient } from "../../../ffi/unix_listener.ts";
import type { IoLoop, IoTimer } from "../../io_loop.ts";

/** How long a client may take for its line. */
const GREETING_MS = 30_000;
/** How long to let nobody in when the host has no descriptor or memory left for one more. */
const PAUSE_MS = 1000;
/** As long as the longest line, with some room. */
const MOST_LINE = 32;
const LINE = /^connect (\d{1,10})\r?\n/i;
const MOST_PORT = 2 ** 32 - 1;

/** What the clients are handed to. */
export interface ClientReceiver {
  /** How many more connections there may be. */
  readonly room: number;
  /** Takes a client that wants a port of the guest; its descriptor is the receiver's from now on. */
  request(fd: number, port: number): void;
  /** Milliseconds of the monotonic clock. */
  monotonic(): number;
}

/** The listening socket and those who have not said yet what they want. */
export class HostClients {
  readonly #listener: number;
  readonly #loop: IoLoop;
  readonly #receiver: ClientReceiver;
  readonly #timer: IoTimer;
  /** Descriptor and deadline, the earliest first. */
  readonly #greeting = new Map<number, number>();
  readonly #line = new Uint8Array(MOST_LINE);
  #listening = true;
  #pausedUntil = 0;

  /**
   * @param listener A listening unix socket; whoever made it closes it
   * @param loop Watches it
   * @param receiver Gets the clients
   */
  constructor(listener: number, loop: IoLoop, receiver: ClientReceiver) {
    this.#listener = listener;
    this.#loop = loop;
    this.#receiver = receiver;
    this.#timer = loop.timer(() => this.#expire());
    loop.watch(listener, EpollEvent.IN, () => this.#accept());
  }

  /** How many have not said yet what they want. */
  get size(): number {
    return this.#greeting.size;
  }

  /** There may be room for more. */
  resume(): void {
    if (this.#listening || this.#receiver.room <= 0) return;
    if (this.#receiver.monotonic() < this.#pausedUntil) return;
    this.#listening = true;
    this.#loop.change(this.#listener, EpollEvent.IN);
  }

  /** Lets them all go. */
  close(): void {
    this.#loop.unwatch(this.#listener);
    for (const fd of this.#greeting.keys()) this.#drop(fd); // whose room nobody gets any more
    this.#timer.at(Infinity);
  }

  #accept(): void {
    try {
      while (this.#receiver.room > 0) {
        const fd = acceptClient(this.#listener);
        if (fd === undefined) return;
        this.#greet(fd);
      }
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      this.#pausedUntil = this.#receiver.monotonic() + PAUSE_MS;
    }
    // Others wait in the backlog; their connecting is no news until then.
    this.#listening = false;
    this.#loop.change(this.#listener, 0);
    this.#setTimer();
  }

  #greet(fd: number): void {
    this.#greeting.set(fd, this.#receiver.monotonic() + GREETING_MS);
    try {
      this.#loop.watch(fd, EpollEvent.IN | EpollEvent.EDGE, () => this.#read(fd));
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      this.#greeting.delete(fd);
      closeFile(fd);
      return;
    }
    this.#setTimer();
  }

  /** Takes the line and nothing behind it, which is for the guest. */
  #read(fd: number): void {
    const count = peekSocket(fd, this.#line);
    if (count === -Errno.EAGAIN || count === -Errno.EINTR) return;
    const text = count > 0 ? String.fromCharCode(...this.#line.subarray(0, count)) : "";
    const match = LINE.exec(text);
    const port = match === null ? NaN : Number(match[1]);
    if (port <= MOST_PORT) {
      receiveBytes(fd, this.#line.subarray(0, match![0].length));
      this.#greeting.delete(fd);
      this.#loop.unwatch(fd);
      this.#receiver.request(fd, port);
      return;
    }
    if (count <= 0 || count === MOST_LINE || text.includes("\n")) this.#hangUp(fd);
  }

  #hangUp(fd: number): void {
    this.#drop(fd);
    this.resume();
  }

  #drop(fd: number): void {
    this.#greeting.delete(fd);
    this.#loop.unwatch(fd);
    closeFile(fd);
  }

  #expire(): void {
    const now = this.#receiver.monotonic();
    for (const [fd, deadline] of this.#greeting) {
      if (deadline > now) break;
      this.#hangUp(fd);
    }
    this.resume();
    this.#setTimer();
  }

  #setTimer(): void {
    let due = Infinity;
    for (const deadline of this.#greeting.values()) {
      due = deadline;
      break;
    }
    const paused = !this.#listening && this.#pausedUntil > this.#receiver.monotonic();
    this.#timer.at(paused ? Math.min(due, this.#pausedUntil) : due);
  }
}
