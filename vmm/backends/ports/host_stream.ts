/**
 * The bytes of a port's host end, on the I/O thread: never waits, and moves bytes between a
 * descriptor and guest memory with nothing in between.
 *
 * Descriptors are watched edge-triggered: an edge says that reading or writing may be tried, until
 * it gives EAGAIN. So a guest that has no buffers, or nothing to say, costs no calls.
 *
 * @module
 */
import { EpollEvent } from "../../../ffi/epoll.ts";
import { Errno } from "../../../ffi/errno.ts";
import { HostError } from "../../../ffi/errors.ts";
import { closeFile } from "../../../ffi/files.ts";
import { errno, libc } from "../../../ffi/libc.ts";
import { acceptClient } from "../../../ffi/unix_listener.ts";
import type { IoLoop } from "../../io_loop.ts";
import type { HostEndPlan } from "./host_end.ts";

/** What {@linkcode HostStream.read} gives at the end of the input, in place of a count. */
export const END = -1;

/** A pipe that can be written to takes this much without waiting (PIPE_BUF, pipe(7)). */
const PIPE_BUF = 4096;
/** One write, so that a port does not keep the others waiting. */
const MOST_WRITE = 0x4_0000;
const NONE = -1;

/** A host end at work. */
export class HostStream {
  /** Bytes that one {@linkcode write} takes at most. */
  readonly mostWrite: number;
  readonly #plan: HostEndPlan;
  readonly #loop: IoLoop;
  readonly #changed: () => void;
  readonly #failed: (error: HostError) => void;
  /** The stream itself: a listener's client, or the end that was opened. */
  #fd = NONE;
  /** epoll can't watch it: it never waits. */
  #plain = false;
  #readable = false;
  #writable = false;
  #ended = false;
  #hungUp = false;

  /**
   * @param plan The end
   * @param loop The I/O thread's loop
   * @param changed Called when bytes may move again, or somebody has come or gone
   * @param failed Told of what breaks the stream, or keeps a client out
   */
  constructor(
    plan: HostEndPlan,
    loop: IoLoop,
    changed: () => void,
    failed: (error: HostError) => void,
  ) {
    this.#plan = plan;
    this.#loop = loop;
    this.#changed = changed;
    this.#failed = failed;
    this.mostWrite = plan.blocking ? PIPE_BUF : MOST_WRITE;
    if (plan.kind === "listener") {
      loop.watch(plan.fd, EpollEvent.IN + EpollEvent.EDGE, () => this.#accept());
    } else {
      this.#adopt(plan.fd);
    }
  }

  /** Whether somebody is there. */
  get connected(): boolean {
    return this.#fd !== NONE && !(this.#plan.kind === "fifo" && this.#ended);
  }

  /** How messages call it. */
  get label(): string {
    return this.#plan.label;
  }

  /** Whether it takes output; what doesn't has none of it kept for later. */
  get takesOutput(): boolean {
    const { kind } = this.#plan;
    return this.connected && (kind === "writer" || kind === "listener" && !this.#hungUp);
  }

  /** Whether a client has gone, with input perhaps left behind. */
  get abandoned(): boolean {
    return this.#plan.kind === "listener" && this.#fd !== NONE && this.#hungUp;
  }

  /** Whether reading may give something. */
  get readable(): boolean {
    return this.#readable && this.connected;
  }

  /**
   * Reads.
   *
   * @param iovecs Where to: `struct iovec`s
   * @param count How many of them, at least one, with room
   * @returns How many bytes came; 0 if none are there now; {@linkcode END} if there won't be more
   */
  read(iovecs: Uint32Array<ArrayBuffer>, count: number): number {
    while (this.#readable) {
      if (this.#plan.blocking && !this.#plain && !isReady(this.#fd, EpollEvent.IN)) break;
      const got = libc.readv(this.#fd, iovecs, count);
      if (got > 0) return got;
      if (got === 0) return this.#endOfInput();
      const code = errno();
      if (code === Errno.EAGAIN) break;
      if (code !== Errno.EINTR) return this.#fail("read", code);
    }
    this.#readable = this.#plain;
    return 0;
  }

  /**
   * Writes.
   *
   * @param iovecs What: `struct iovec`s
   * @param count How many of them
   * @returns How many bytes it took; 0 if it takes none now; {@linkcode END} if it takes none any more
   */
  write(iovecs: Uint32Array<ArrayBuffer>, count: number): number {
    while (this.#writable) {
      if (this.#plan.blocking && !this.#plain && !isReady(this.#fd, EpollEvent.OUT)) break;
      const put = libc.writev(this.#fd, iovecs, count);
      if (put > 0) return put;
      const code = errno();
      if (put === 0 || code === Errno.EAGAIN) break;
      if (code === Errno.EINTR) continue;
      // A client that has gone is no failure; what it sent before is still to be read.
      if (this.#plan.kind === "listener" && !this.#ended) {
        this.#hungUp = true;
        this.#readable = true;
        return END;
      }
      return this.#fail("write", code);
    }
    this.#writable = this.#plain;
    return 0;
  }

  /** Lets a client go, and the next one in. */
  drop(): void {
    if (this.#fd === NONE) return;
    if (!this.#plain) this.#loop.unwatch(this.#fd);
    if (this.#plan.kind === "listener") closeFile(this.#fd);
    this.#fd = NONE;
    this.#readable = this.#writable = false;
    if (this.#plan.kind === "listener") this.#loop.later(() => this.#accept());
  }

  /** Closes a client's connection; the loop has forgotten it already, or will. */
  close(): void {
    if (this.#plan.kind === "listener" && this.#fd !== NONE) closeFile(this.#fd);
    this.#fd = NONE;
    this.#readable = this.#writable = false;
  }

  #accept(): void {
    if (this.#fd !== NONE) return; // one at a time; the next one waits in the backlog
    let client: number | undefined;
    try {
      client = acceptClient(this.#plan.fd);
    } catch (error) {
      this.#failed(error as HostError);
    }
    if (client === undefined) return;
    this.#adopt(client);
    this.#changed();
  }

  #adopt(fd: number): void {
    const { kind } = this.#plan;
    const events = (kind === "writer" ? 0 : EpollEvent.IN) |
      (kind === "writer" || kind === "listener" ? EpollEvent.OUT : 0);
    this.#fd = fd;
    this.#ended = this.#hungUp = false;
    try {
      this.#loop.watch(fd, events + EpollEvent.EDGE, (came) => this.#ready(came));
    } catch (error) {
      if (!(error instanceof HostError && error.errno === Errno.EPERM)) throw error;
      this.#plain = true;
      this.#readable = kind !== "writer";
      this.#writable = kind === "writer";
    }
  }

  #ready(events: number): void {
    const gone = (events & (EpollEvent.HUP | EpollEvent.ERR)) !== 0;
    const { kind } = this.#plan;
    if (gone) this.#hungUp = true;
    if (kind !== "writer" && (gone || (events & EpollEvent.IN) !== 0)) this.#readable = true;
    if (kind === "fifo" && (events & EpollEvent.IN) !== 0) this.#ended = false; // a new writer
    if (gone || (events & EpollEvent.OUT) !== 0) this.#writable = kind !== "reader";
    if (gone && this.#ended && kind === "listener") this.drop();
    this.#changed();
  }

  #endOfInput(): number {
    this.#readable = false;
    switch (this.#plan.kind) {
      case "fifo":
        if (!this.#hungUp) return 0; // it has had no writer yet
        this.#hungUp = false;
        this.#ended = true;
        return END;
      case "listener":
        // Half closed, a client still listens.
        this.#ended = true;
        if (!this.#hungUp) return 0;
        this.drop();
        return END;
      default:
        this.drop();
        return END;
    }
  }

  #fail(syscall: string, code: number): number {
    // A client or a pipe's reader may leave when it likes.
    if (this.#plan.kind !== "listener" && code !== Errno.EPIPE) {
      this.#failed(new HostError(syscall, code, { path: this.#plan.label }));
    }
    this.drop();
    return END;
  }
}

const pollfd = new DataView(new ArrayBuffer(8));
const pollfdBytes = new Uint8Array(pollfd.buffer);

/** Asks whether a read or write of few bytes will not wait; what failed does not wait either. */
function isReady(fd: number, events: number): boolean {
  pollfd.setInt32(0, fd, true);
  pollfd.setInt16(4, events, true);
  pollfd.setInt16(6, 0, true);
  return libc.poll(pollfdBytes, 1n, 0) > 0;
}
