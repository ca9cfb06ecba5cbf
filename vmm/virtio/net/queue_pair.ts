/**
 * A pair of queues on the I/O thread: frames from the guest to the backend, and from the backend to
 * the guest, so many a turn.
 *
 * @module
 */
import type { Struct } from "../../../ffi/struct.ts";
import {
  HEADER_BYTES,
  MAX_FRAME,
  MIN_FRAME,
  type NetBackend,
  Sent,
} from "../../backends/net/net_backend.ts";
import type { IoLoop } from "../../io_loop.ts";
import type { Chain, Virtqueue } from "../virtio_device.ts";
import { NetHeader } from "./header.ts";
import { type ReceiveFeatures, Receiver } from "./receiver.ts";
import type { NetState } from "./state.ts";
import type { Throttle } from "./throttle.ts";

/** What one queue moves before other devices have their turn. */
const TURN_FRAMES = 256;
const TURN_BYTES = 4 * 2 ** 20;

/** What a pair has of its device. */
export interface PairOwner extends ReceiveFeatures {
  readonly state: Struct<typeof NetState>;
  /** Whether frames come and go. */
  readonly linkUp: boolean;
  /** Whether a feature was negotiated. */
  has(feature: number): boolean;
}

/** What a pair works with on the I/O thread. */
export interface PairPlace {
  readonly loop: IoLoop;
  readonly backend: NetBackend;
  /** Limits of the two directions, which all pairs share. */
  readonly receiving: Throttle;
  readonly sending: Throttle;
}

/** A receive queue and a send queue. */
export class QueuePair {
  readonly #pair: number;
  readonly #receiveq: Virtqueue;
  readonly #transmitq: Virtqueue;
  readonly #owner: PairOwner;
  readonly #place: PairPlace;
  readonly #receiver: Receiver;
  readonly #header = new NetHeader();
  readonly #has: (feature: number) => boolean;
  readonly #receiveLater = () => this.receive();
  readonly #transmitLater = () => this.transmit();
  #generation = 0;
  /** Whether the backend will tell when there is room. */
  #blocked = false;

  /**
   * @param pair Its number
   * @param queues All of the device's
   * @param owner The device
   * @param place What it works with
   */
  constructor(pair: number, queues: readonly Virtqueue[], owner: PairOwner, place: PairPlace) {
    this.#pair = pair;
    this.#receiveq = queues[2 * pair]!;
    this.#transmitq = queues[2 * pair + 1]!;
    this.#owner = owner;
    this.#place = place;
    this.#receiver = new Receiver(this.#receiveq, owner.state, owner);
    this.#has = (feature) => owner.has(feature);
  }

  /** Sends what waits. */
  transmit(): void {
    const queue = this.#transmitq;
    if (this.#blocked || !queue.ready) return;
    const { sending, loop } = this.#place;
    queue.disableNotifications();
    let bytes = 0;
    for (let frames = 0; sending.open; frames++) {
      if (frames === TURN_FRAMES || bytes > TURN_BYTES) {
        loop.later(this.#transmitLater);
        break;
      }
      const chain = queue.pop();
      if (chain === undefined) {
        if (!queue.enableNotifications()) break;
        queue.disableNotifications();
        continue;
      }
      const length = chain.readable - HEADER_BYTES;
      if (!this.#send(chain, length)) {
        queue.unpop(chain);
        this.#blocked = true;
        break;
      }
      queue.push(chain, 0);
      bytes += length;
    }
    queue.signal();
  }

  /** The backend has room again. */
  unblock(): void {
    this.#blocked = false;
    this.transmit();
  }

  /** Receives what has come. */
  receive(): void {
    const { backend } = this.#place;
    if (!this.#receiveq.ready) {
      backend.wantFrames(this.#pair, false);
      return;
    }
    const { generation } = this.#owner.state;
    if (this.#generation !== generation) this.#receiver.reset();
    this.#generation = generation;
    this.#receiver.discarding = !this.#owner.linkUp;
    this.#receiveq.disableNotifications();
    try {
      this.#fill();
    } finally { // also where the ring lies
      this.#receiver.release();
    }
    this.#receiveq.signal();
  }

  #fill(): void {
    const { backend, receiving, loop } = this.#place;
    const { state } = this.#owner;
    const start = state.rx_bytes;
    let before = start;
    for (let frames = 0; receiving.open; frames++) {
      if (frames === TURN_FRAMES || before - start > TURN_BYTES) {
        loop.later(this.#receiveLater);
        return;
      }
      if (!this.#receiver.prepare()) {
        // What there is of buffers is held, so the driver is asked to tell of the next one.
        if (this.#receiveq.enableNotifications()) {
          this.#receiveq.disableNotifications();
          continue;
        }
        backend.wantFrames(this.#pair, false);
        return;
      }
      if (!backend.receive(this.#pair, this.#receiver)) {
        backend.wantFrames(this.#pair, true);
        return;
      }
      const after = state.rx_bytes;
      if (after !== before) receiving.charge(after - before);
      before = after;
    }
  }

  /** Sends one frame, or counts it where it can't go; false if it has to wait. */
  #send(chain: Chain, length: number): boolean {
    const { state } = this.#owner;
    if (length < MIN_FRAME || length > MAX_FRAME) {
      state.tx_errors++;
      return true;
    }
    const header = this.#header;
    chain.read(0, header.bytes);
    if (!header.check(length, this.#has)) {
      state.tx_errors++;
      return true;
    }
    const sent = this.#owner.linkUp
      ? this.#place.backend.send(this.#pair, header.bytes, chain, length)
      : Sent.FAILED;
    if (sent === Sent.BLOCKED) return false;
    if (sent === Sent.DONE) {
      state.tx_packets++;
      state.tx_bytes += length;
      this.#place.sending.charge(length);
    } else {
      state.tx_dropped++;
    }
    return true;
  }
}
