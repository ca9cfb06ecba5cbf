/**
 * The tap backend: a network interface of the host whose frames come and go by readv and writev
 * straight between guest memory and the kernel, offloads included.
 *
 * @module
 */
import { Errno } from "../../../ffi/errno.ts";
import { EpollEvent } from "../../../ffi/epoll.ts";
import { errno, libc } from "../../../ffi/libc.ts";
import type { IoLoop } from "../../io_loop.ts";
import type { Chain } from "../../virtio/virtio_device.ts";
import { FrameIovecs, IOVEC_WORDS, MOST_IOVECS } from "./frame_iovecs.ts";
import {
  type BackendOwner,
  HEADER_BYTES,
  type NetBackend,
  type ReceiveTarget,
  Sent,
} from "./net_backend.ts";

/** One queue of the tap. */
interface TapQueue {
  readonly fd: number;
  /** What is waited for now. */
  events: number;
}

/** A tap on the I/O thread. */
export class TapBackend implements NetBackend {
  readonly #queues: readonly TapQueue[];
  readonly #iovecs = new Uint32Array(MOST_IOVECS * IOVEC_WORDS);
  readonly #frame = new FrameIovecs(HEADER_BYTES, this.#iovecs);
  #loop: IoLoop | undefined;
  #owner: BackendOwner | undefined;

  /**
   * @param fds The tap's non-blocking descriptors, one for each queue pair
   */
  constructor(fds: readonly number[]) {
    this.#queues = fds.map((fd) => ({ fd, events: 0 }));
  }

  attend(loop: IoLoop, owner: BackendOwner): void {
    this.#loop = loop;
    this.#owner = owner;
    this.#queues.forEach(({ fd }, pair) =>
      loop.watch(fd, EpollEvent.EDGE, (events) => this.#ready(pair, events))
    );
  }

  send(pair: number, header: Uint8Array, chain: Chain, length: number): number {
    const queue = this.#queues[pair]!;
    const count = this.#frame.set(header, chain, length);
    if (count < 0) return Sent.FAILED;
    if (libc.writev(queue.fd, this.#iovecs, count) >= 0) return Sent.DONE;
    if (errno() !== Errno.EAGAIN) return Sent.FAILED;
    this.#wait(queue, queue.events | EpollEvent.OUT);
    return Sent.BLOCKED;
  }

  receive(pair: number, target: ReceiveTarget): boolean {
    return target.readFrom(this.#queues[pair]!.fd) > 0;
  }

  wantFrames(pair: number, wanted: boolean): void {
    const queue = this.#queues[pair]!;
    const others = queue.events & ~EpollEvent.IN;
    this.#wait(queue, wanted ? others | EpollEvent.IN : others);
  }

  close(): void {
    for (const { fd } of this.#queues) this.#loop?.unwatch(fd);
    this.#loop = undefined;
  }

  /** Each change is told once; asking anew tells of what is there already (epoll(7)). */
  #wait(queue: TapQueue, events: number): void {
    if (queue.events === events) return;
    queue.events = events;
    this.#loop?.change(queue.fd, events + EpollEvent.EDGE);
  }

  #ready(pair: number, events: number): void {
    if ((events & EpollEvent.ERR) !== 0) { // the interface has been deleted
      this.close();
      this.#owner!.gone("its interface has been deleted");
      return;
    }
    if ((events & EpollEvent.OUT) !== 0) {
      const queue = this.#queues[pair]!;
      this.#wait(queue, queue.events & ~EpollEvent.OUT);
      this.#owner!.writable(pair);
    }
    if ((events & EpollEvent.IN) !== 0) this.#owner!.readable(pair);
  }
}
