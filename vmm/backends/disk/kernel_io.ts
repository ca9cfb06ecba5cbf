/**
 * System calls on a disk's files, one a tag at a time: by io_uring, or where there is none, at once
 * by the thread itself.
 *
 * @module
 */
import { EpollEvent } from "../../../ffi/epoll.ts";
import { HostError } from "../../../ffi/errors.ts";
import { IoUring } from "../../../ffi/io_uring.ts";
import { errno, libc } from "../../../ffi/libc.ts";
import type { IoLoop } from "../../io_loop.ts";
import { MOST_REQUESTS } from "./backend.ts";

/** Who hears of results. */
export interface KernelIoClient {
  /** A call has returned: what it gave, or an errno as a negative number. */
  completed(tag: number, result: number): void;
  /** After `completed`s that came from the loop. */
  settled(): void;
}

/** A way to make system calls. `completed` may come from within any of these. */
export interface KernelIo {
  /** `io_uring` or `preadv`. */
  readonly engine: "io_uring" | "preadv";
  /** Calls preadv on vectors that lie at an address. */
  read(tag: number, fd: number, address: number, count: number, offset: number): void;
  /** Calls pwritev. */
  write(tag: number, fd: number, address: number, count: number, offset: number): void;
  /** Calls fdatasync. */
  sync(tag: number, fd: number): void;
  /** Calls fallocate. */
  fallocate(tag: number, fd: number, mode: number, offset: number, length: number): void;
  /** Hands over what waits. */
  submit(): void;
  /** Asks for a call not to be begun. */
  cancel(tag: number): void;
  /** Waits for what is under way, and frees the rest. */
  close(): void;
}

/** Which way a document asks for. */
export type DiskEngine = KernelIo["engine"];

/**
 * Opens the fastest way that this host has.
 *
 * @param engine `preadv` to do without io_uring
 * @param loop The I/O thread's
 * @param client Who hears of results
 * @returns The way
 */
export function openKernelIo(
  engine: DiskEngine,
  loop: IoLoop,
  client: KernelIoClient,
): KernelIo {
  if (engine === "preadv") return new DirectCalls(client);
  try {
    return new RingCalls(new IoUring(MOST_REQUESTS), loop, client);
  } catch (error) {
    // Old kernels have none, containers and sysctl forbid it, RLIMIT_MEMLOCK may be short.
    if (!(error instanceof HostError)) throw error;
    return new DirectCalls(client);
  }
}

class RingCalls implements KernelIo {
  readonly engine = "io_uring";
  readonly #ring: IoUring;
  readonly #loop: IoLoop;
  readonly #completed: (tag: number, result: number) => void;

  constructor(ring: IoUring, loop: IoLoop, client: KernelIoClient) {
    this.#ring = ring;
    this.#loop = loop;
    this.#completed = (tag, result) => client.completed(tag, result);
    loop.watch(ring.completionFd, EpollEvent.IN + EpollEvent.EDGE, () => {
      // Told also of what was reaped right after it was submitted.
      if (ring.inFlight + ring.queued === 0) return;
      if (ring.reap(this.#completed) > 0) client.settled();
    });
  }

  read(tag: number, fd: number, address: number, count: number, offset: number): void {
    this.#ring.readv(tag, fd, address, count, offset);
  }

  write(tag: number, fd: number, address: number, count: number, offset: number): void {
    this.#ring.writev(tag, fd, address, count, offset);
  }

  sync(tag: number, fd: number): void {
    this.#ring.fdatasync(tag, fd);
  }

  fallocate(tag: number, fd: number, mode: number, offset: number, length: number): void {
    this.#ring.fallocate(tag, fd, mode, offset, length);
  }

  submit(): void {
    // What has completed may queue the rest of its request.
    while (this.#ring.queued > 0) this.#ring.reap(this.#completed);
  }

  cancel(tag: number): void {
    this.#ring.cancel(tag);
  }

  close(): void {
    this.#loop.unwatch(this.#ring.completionFd);
    while (this.#ring.queued + this.#ring.inFlight > 0) this.#ring.wait(this.#completed);
    this.#ring[Symbol.dispose]();
  }
}

class DirectCalls implements KernelIo {
  readonly engine = "preadv";
  readonly #client: KernelIoClient;

  constructor(client: KernelIoClient) {
    this.#client = client;
  }

  read(tag: number, fd: number, address: number, count: number, offset: number): void {
    const result = libc.preadv(fd, BigInt(address), count, BigInt(offset));
    this.#client.completed(tag, result < 0 ? -errno() : result);
  }

  write(tag: number, fd: number, address: number, count: number, offset: number): void {
    const result = libc.pwritev(fd, BigInt(address), count, BigInt(offset));
    this.#client.completed(tag, result < 0 ? -errno() : result);
  }

  sync(tag: number, fd: number): void {
    const result = libc.fdatasync(fd);
    this.#client.completed(tag, result < 0 ? -errno() : result);
  }

  fallocate(tag: number, fd: number, mode: number, offset: number, length: number): void {
    const result = libc.fallocate(fd, mode, BigInt(offset), BigInt(length));
    this.#client.completed(tag, result < 0 ? -errno() : result);
  }

  submit(): void {}

  cancel(): void {}

  close(): void {}
}
