/**
 * One receive queue: the guest's buffers as places for frames (virtio 1.2 §5.1.6.3, §5.1.6.4).
 *
 * A frame from a descriptor is read straight into as many buffers as frames of late have needed, with
 * a buffer of the host's own behind them. What runs over into that is copied, or kept until the guest
 * has more buffers; it is lost only if even all of them could not hold it.
 *
 * Chains are held during one turn of the I/O thread only: between turns the queue is as if they had
 * never been popped, so that a reset or a snapshot finds nothing here.
 *
 * @module
 */
import { addressOf } from "../../../ffi/address_of.ts";
import { libc } from "../../../ffi/libc.ts";
import type { Struct } from "../../../ffi/struct.ts";
import { IOVEC_WORDS, MOST_IOVECS, setIovec } from "../../backends/net/frame_iovecs.ts";
import { HEADER_BYTES, MAX_FRAME, type ReceiveTarget } from "../../backends/net/net_backend.ts";
import type { Chain, Virtqueue } from "../virtio_device.ts";
import { NetHeader } from "./header.ts";
import type { NetState } from "./state.ts";

/** What a buffer for ordinary frames has; as much is offered before frames have shown their size. */
const ORDINARY = 1526;
/** Buffers that are cut into more pieces than this are of no use: Linux's have 19 at most. */
const MOST_PIECES = 256;
/** An entry each for the header and for what runs over. */
const OWN_ENTRIES = 2;

/** What the guest's features mean to its receive queues. */
export interface ReceiveFeatures {
  /** Whether a frame may go over several buffers (MRG_RXBUF). */
  readonly mergeable: boolean;
  /** Whether a frame may be left unfinished (GUEST_CSUM and all that need it). */
  readonly offloads: boolean;
}

/** A receive queue on the I/O thread. */
export class Receiver implements ReceiveTarget {
  /** Whether frames are to be thrown away, the link being down. */
  discarding = false;
  readonly #queue: Virtqueue;
  readonly #state: Struct<typeof NetState>;
  readonly #features: ReceiveFeatures;
  readonly #header = new NetHeader();
  readonly #headerAddress = addressOf(this.#header.storage);
  readonly #over = new Uint8Array(HEADER_BYTES + MAX_FRAME);
  readonly #overAddress = addressOf(this.#over);
  readonly #iovecs = new Uint32Array(MOST_IOVECS * IOVEC_WORDS);
  /** The chains that are held, in order, each with its pieces as iovecs. */
  readonly #chains: Chain[] = [];
  /** How many of them are used up. */
  #used = 0;
  #capacity = 0;
  /** First iovec of the first chain that is not used up, and the end of the last one's. */
  #start = 1;
  #end = 1;
  #pieces = 0;
  /** Whether no more buffers can be held for now, whatever the guest adds. */
  #blocked = false;
  #expected = ORDINARY;
  /** A frame with its header in {@linkcode #over} that waits for more buffers; 0 for none. */
  #waiting = 0;

  /**
   * @param queue The queue
   * @param state The device's counters
   * @param features What was negotiated, as it is now
   */
  constructor(queue: Virtqueue, state: Struct<typeof NetState>, features: ReceiveFeatures) {
    this.#queue = queue;
    this.#state = state;
    this.#features = features;
  }

  /**
   * Takes hold of buffers for the next frame.
   *
   * @returns Whether the next frame may come
   */
  prepare(): boolean {
    if (this.discarding) this.#waiting = 0;
    if (this.#waiting !== 0) {
      if (this.#gather(this.#waiting)) this.#place(this.#waiting);
      else this.#wait(this.#waiting);
      if (this.#waiting !== 0) return false;
    }
    return this.discarding || this.#gather(this.#expected) || this.#used < this.#chains.length;
  }

  readFrom(fd: number): number {
    if (this.discarding) {
      setIovec(this.#iovecs, 0, this.#overAddress, this.#over.length);
      const count = libc.readv(fd, this.#iovecs, 1);
      if (count > 0) this.#state.rx_dropped++;
      return count;
    }
    const first = this.#chains[this.#used]!;
    // Its header goes to the host's own buffer, so its pieces start behind the header's place.
    const room = this.#start + first.writableCount;
    const entries = first.writableIovecs(HEADER_BYTES, Infinity, this.#iovecs, this.#start);
    const begin = room - entries;
    if (begin !== this.#start) {
      const from = this.#start * IOVEC_WORDS;
      this.#iovecs.copyWithin(begin * IOVEC_WORDS, from, from + entries * IOVEC_WORDS);
    }
    setIovec(this.#iovecs, begin - 1, this.#headerAddress, HEADER_BYTES);
    setIovec(this.#iovecs, this.#end, this.#overAddress, this.#over.length);
    const list = this.#iovecs.subarray((begin - 1) * IOVEC_WORDS);
    const count = libc.readv(fd, list, this.#end + 1 - (begin - 1));
    if (count > 0) this.#arrived(count);
    return count;
  }

  take(frame: Uint8Array): void {
    if (this.discarding) {
      this.#state.rx_dropped++;
      return;
    }
    const total = HEADER_BYTES + frame.length;
    this.#header.clear();
    if (this.#gather(total)) {
      this.#write(HEADER_BYTES, frame);
      this.#complete(total);
    } else {
      this.#over.set(this.#header.bytes);
      this.#over.set(frame, HEADER_BYTES);
      this.#wait(total);
    }
  }

  /** Gives back what is not used up: the last thing in a turn. */
  release(): void {
    for (let i = this.#chains.length - 1; i >= this.#used; i--) this.#queue.unpop(this.#chains[i]!);
    this.#clear();
  }

  /** Forgets a frame that waits: its guest is another one now. */
  reset(): void {
    this.#waiting = 0;
    this.#expected = ORDINARY;
  }

  #clear(): void {
    this.#chains.length = 0;
    this.#used = 0;
    this.#capacity = 0;
    this.#pieces = 0;
    this.#start = this.#end = 1;
  }

  /** Pops until the buffers have so many bytes; only one buffer counts where frames can't be spread. */
  #gather(bytes: number): boolean {
    const merge = this.#features.mergeable;
    this.#blocked = false;
    let refused = 0;
    while (merge ? this.#capacity < bytes : this.#used === this.#chains.length) {
      this.#blocked = this.#end + MOST_PIECES + OWN_ENTRIES > MOST_IOVECS && !this.#compact();
      const chain = this.#blocked ? undefined : this.#queue.pop();
      if (chain === undefined) return false;
      const first = this.#used === this.#chains.length;
      const pieces = chain.writableCount;
      // With room for a header each, whichever turns out to be a frame's first (§5.1.6.3.1).
      const unfit = chain.writable < HEADER_BYTES || pieces > MOST_PIECES;
      if (first && unfit) {
        this.#state.rx_errors++;
        this.#queue.push(chain, 0);
        if (++refused > this.#queue.size) return false; // a guest may add them for ever
      } else if (unfit) { // its turn to be refused comes when it is the first
        this.#queue.unpop(chain);
        this.#blocked = true;
        return false;
      } else {
        this.#chains.push(chain);
        this.#end += chain.writableIovecs(0, Infinity, this.#iovecs, this.#end);
        this.#capacity += chain.writable;
        this.#pieces += pieces;
      }
    }
    return merge || this.#capacity >= bytes;
  }

  /** Makes room for iovecs at the end of the list; false if there is none to make. */
  #compact(): boolean {
    if (this.#start <= MOST_PIECES) return false;
    this.#iovecs.copyWithin(IOVEC_WORDS, this.#start * IOVEC_WORDS, this.#end * IOVEC_WORDS);
    this.#end -= this.#start - 1;
    this.#start = 1;
    this.#chains.splice(0, this.#used);
    this.#used = 0;
    return this.#end + MOST_PIECES + OWN_ENTRIES <= MOST_IOVECS;
  }

  /** A frame has been read, into the buffers and perhaps over their end. */
  #arrived(count: number): void {
    this.#expected = count > this.#expected
      ? count
      : Math.max(ORDINARY, this.#expected - ((this.#expected - count) >> 3));
    if (this.#header.offloaded && !this.#features.offloads) {
      this.#state.rx_dropped++; // it was made before the guest said what it can take
      return;
    }
    const held = this.#capacityOfFrame();
    if (count <= held) {
      this.#complete(count);
      return;
    }
    const over = count - held;
    if (this.#gather(count)) {
      this.#write(held, this.#over.subarray(0, over));
      this.#complete(count);
      return;
    }
    if (over + held > this.#over.length) {
      this.#state.rx_dropped++;
      return;
    }
    this.#over.copyWithin(held, 0, over);
    this.#copyOut(held);
    this.#wait(count);
  }

  /** How much of a frame, with its header, the held buffers take. */
  #capacityOfFrame(): number {
    return this.#features.mergeable ? this.#capacity : this.#chains[this.#used]!.writable;
  }

  /** Copies what a frame that waits has in the guest's buffers so far; the buffers go back. */
  #copyOut(length: number): void {
    let at = 0;
    for (let i = this.#used; at < length; i++) {
      for (const view of this.#chains[i]!.writableViews(0, length - at)) {
        this.#over.set(view, at);
        at += view.length;
      }
    }
    this.#over.set(this.#header.bytes);
  }

  /** Keeps a frame in {@linkcode #over}, unless the guest can never have the buffers for it. */
  #wait(total: number): void {
    const held = Math.max(this.#chains.length - this.#used, this.#pieces);
    const hopeless = !this.#features.mergeable || this.#blocked || held >= this.#queue.size;
    this.#waiting = hopeless ? 0 : total;
    if (hopeless) this.#state.rx_dropped++;
  }

  /** Puts the frame that waited into the held buffers. */
  #place(total: number): void {
    this.#waiting = 0;
    this.#header.bytes.set(this.#over.subarray(0, HEADER_BYTES));
    this.#write(HEADER_BYTES, this.#over.subarray(HEADER_BYTES, total));
    this.#complete(total);
  }

  /** Copies into the held buffers. */
  #write(position: number, bytes: Uint8Array): void {
    let start = 0;
    let done = 0;
    for (let i = this.#used; done < bytes.length; i++) {
      const chain = this.#chains[i]!;
      const offset = position + done - start;
      if (offset < chain.writable) {
        done += chain.write(offset, done === 0 ? bytes : bytes.subarray(done));
      }
      start += chain.writable;
    }
  }

  /** Gives the guest the buffers of a frame. */
  #complete(total: number): void {
    let count = 0;
    for (let left = total; left > 0; count++) left -= this.#chains[this.#used + count]!.writable;
    this.#header.buffers = count;
    this.#chains[this.#used]!.write(0, this.#header.bytes);
    for (let left = total; left > 0;) {
      const chain = this.#chains[this.#used++]!;
      const { writable, writableCount } = chain;
      this.#queue.push(chain, Math.min(left, writable));
      left -= writable;
      this.#capacity -= writable;
      this.#pieces -= writableCount;
      this.#start += writableCount;
    }
    this.#state.rx_packets++;
    this.#state.rx_bytes += total - HEADER_BYTES;
    if (this.#used === this.#chains.length) this.#clear();
  }
}
