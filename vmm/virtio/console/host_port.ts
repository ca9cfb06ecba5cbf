/**
 * A console's further port, between the guest's queues and the host's end of it. All of this runs on
 * the I/O thread.
 *
 * An end that is there but slow holds the guest's buffers until it takes them, so the guest's program
 * waits and nothing is lost. Where nobody is, what the guest writes is discarded.
 *
 * @module
 */
import type { Struct } from "../../../ffi/struct.ts";
import type { HostEndPlan } from "../../backends/ports/host_end.ts";
import { END, HostStream } from "../../backends/ports/host_stream.ts";
import type { IoLoop } from "../../io_loop.ts";
import type { Chain, VirtioContext, Virtqueue } from "../virtio_device.ts";
import type { PortState } from "./state.ts";

/** Bytes that a port moves before other devices have their turn. */
const TURN_BYTES = 0x10_0000;
/** What a buffer costs of that, however little is in it. */
const TURN_BUFFER = 0x1000;

/** One read puts no more than this into a buffer. */
const MOST_READ = 0x4_0000;
const IOV_MAX = 1024;
/** `struct iovec`s; a thread does one call at a time. */
const iovecs = new Uint32Array(4 * IOV_MAX);

/** What a port is part of. */
export interface HostPortOwner {
  readonly context: VirtioContext;
  readonly loop: IoLoop;
  /** Called when somebody has come to the host's end, or gone from it. */
  hostOpened(): void;
}

/** A port at work. */
export class HostPort {
  readonly #state: Struct<typeof PortState>;
  readonly #receive: Virtqueue;
  readonly #transmit: Virtqueue;
  readonly #owner: HostPortOwner;
  readonly #stream: HostStream | undefined;
  #again = false;
  /** Output was left in its queue, since its reader took no more or it is others' turn. */
  #left = false;

  /**
   * @param state What it remembers
   * @param queues Its receive and its transmit queue
   * @param plan The host's end; null for none
   * @param owner What it is part of
   */
  constructor(
    state: Struct<typeof PortState>,
    queues: readonly [Virtqueue, Virtqueue],
    plan: HostEndPlan | null,
    owner: HostPortOwner,
  ) {
    this.#state = state;
    [this.#receive, this.#transmit] = queues;
    this.#owner = owner;
    if (plan === null) return;
    this.#stream = new HostStream(
      plan,
      owner.loop,
      () => this.pump(),
      (error) =>
        owner.context.event({
          kind: "error",
          message: `${error.message}; the port goes without`,
          path: plan.label,
        }),
    );
    this.#tellGuest();
  }

  /** Moves what can be moved, both ways. */
  pump(): void {
    this.receive();
    this.transmit();
    this.#tellGuest();
  }

  /** Input to the guest, as far as it has buffers. */
  receive(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    if (this.#state.guest_open === 0) {
      // Nobody will read what a client that is gone has left, and the next one waits.
      if (stream.abandoned) stream.drop();
      return this.#tellGuest();
    }
    const queue = this.#receive;
    for (let left = TURN_BYTES; stream.readable;) {
      if (left <= 0) {
        this.#later();
        break;
      }
      const chain = queue.pop();
      if (chain === undefined) break;
      const count = chain.writableIovecs(0, MOST_READ, iovecs);
      if (count === 0) { // no room at all
        queue.push(chain, 0);
        left -= TURN_BUFFER;
        continue;
      }
      const got = stream.read(iovecs, count);
      if (got <= 0) {
        queue.unpop(chain);
        break;
      }
      this.#state.received += got;
      queue.push(chain, got);
      left -= Math.max(got, TURN_BUFFER);
    }
    queue.signal();
    this.#tellGuest();
  }

  /** Output of the guest, as far as it is taken. */
  transmit(): void {
    const state = this.#state;
    const queue = this.#transmit;
    this.#left = false;
    for (let left = TURN_BYTES;;) {
      if (left <= 0) {
        this.#left = true;
        this.#later();
        break;
      }
      const chain = queue.pop();
      if (chain === undefined) break;
      let moved = 0;
      while (state.transmit_offset < chain.readable) {
        const offset = state.transmit_offset;
        const put = this.#put(chain, offset);
        if (put === 0) break;
        state.transmit_offset = offset + put;
        moved += put;
        if (moved >= left) break;
      }
      state.transmitted += moved;
      left -= Math.max(moved, TURN_BUFFER);
      if (state.transmit_offset < chain.readable) {
        queue.unpop(chain);
        this.#left = true;
        if (left <= 0) this.#later();
        break;
      }
      state.transmit_offset = 0;
      queue.push(chain, 0);
    }
    queue.signal();
    this.#tellGuest();
  }

  /** Whether output that was looked at waits for who is there to take it; a guest's mere word does not do. */
  get unsent(): boolean {
    return this.#left && this.#owner.context.running && (this.#stream?.takesOutput ?? false);
  }

  /** Lets a client go. */
  close(): void {
    this.#stream?.close();
  }

  /** Bytes that went from a chain; 0 if the end takes none now. */
  #put(chain: Chain, offset: number): number {
    const stream = this.#stream;
    if (stream !== undefined && stream.takesOutput) {
      const count = chain.readableIovecs(offset, stream.mostWrite, iovecs);
      const put = stream.write(iovecs, count);
      if (put !== END) return put;
      if (!stream.connected) this.#owner.context.event({ kind: "unread", path: stream.label });
    }
    const rest = chain.readable - offset;
    this.#state.discarded += rest;
    return rest;
  }

  #tellGuest(): void {
    const open = this.#stream?.connected ? 1 : 0;
    if (open === this.#state.host_open) return;
    this.#state.host_open = open;
    this.#owner.hostOpened();
  }

  #later(): void {
    if (this.#again) return;
    this.#again = true;
    this.#owner.loop.later(() => {
      this.#again = false;
      this.pump();
    });
  }
}
