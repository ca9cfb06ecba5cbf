/**
 * The split virtqueue (virtio 1.2 §2.7), device side.
 *
 *     descriptor table  { le64 addr; le32 len; le16 flags; le16 next; } [size]
 *     available ring    le16 flags; le16 idx; le16 ring[size]; le16 used_event
 *     used ring         le16 flags; le16 idx; { le32 id; le32 len; } ring[size]; le16 avail_event
 *
 * The rings are the guest's and change at any time, so every word of them is read once. What the
 * device has to remember is in the arena ({@linkcode VirtqueueState}): whichever thread holds the
 * device's lock goes on. Views of the rings are each thread's own, and made anew when the epoch moves.
 *
 * @module
 */
import { BufferChain, NOT_LENT } from "./chain.ts";
import type { DmaMap } from "./dma.ts";
import { Live, queueWord, ringSizes } from "./queue_state.ts";
import { ringProblem } from "./ring_placement.ts";
import { WriteFlag } from "../write_log.ts";
import { type Chain, Feature, ProtocolError, type Virtqueue } from "./virtio_device.ts";

const VIRTQ_DESC_F_NEXT = 1;
const VIRTQ_DESC_F_WRITE = 2;
const VIRTQ_DESC_F_INDIRECT = 4;
const VIRTQ_AVAIL_F_NO_INTERRUPT = 1;
const VIRTQ_USED_F_NO_NOTIFY = 1;

const DESC_BYTES = 16;
/** Entries of an indirect table (§2.7.5.3: at most the queue's size; drivers were known to use more). */
const MOST_INDIRECT = 65535;
/** How long a chain in an indirect table may be where the queue is shorter. */
const MOST_CHAIN = 1024;
/** Descriptors that a queue lends at once, all chains together: what a thread remembers of them is bounded. */
const MOST_LENT = 2 ** 20;

const SIZE = queueWord("size");
const LIVE = queueWord("live");
const EPOCH = queueWord("epoch");
const LAST_AVAIL = queueWord("last_avail_idx");
const SEEN_AVAIL = queueWord("seen_avail_idx");
const NEXT_USED = queueWord("next_used_idx");
const UNSIGNALLED = queueWord("unsignalled");
const NO_NOTIFY = queueWord("no_notify");
const AVAIL_EVENT = queueWord("avail_event");
const DESC_LOW = queueWord("desc_low");
const DRIVER_LOW = queueWord("driver_low");
const DEVICE_LOW = queueWord("device_low");
const NOT_NOTED = new Int32Array(2);

/** Who a queue belongs to. */
export interface QueueOwner {
  /** Whether a feature was negotiated. */
  has(feature: number): boolean;
  /** Interrupts the driver because of a queue. */
  interrupt(queue: number): void;
}

/** A queue as one thread sees it. */
export class SplitQueue implements Virtqueue {
  readonly index: number;
  readonly #words: Int32Array;
  readonly #dma: DmaMap;
  readonly #owner: QueueOwner;
  /** What is noted of what is written, by {@linkcode WriteFlag}. */
  readonly #noted: Int32Array;
  readonly #pool: BufferChain[] = [];
  /** Descriptors lent since the epoch began, and chains. */
  #lent = 0;
  #lentChains = 0;
  /** The epoch that the views are of. */
  #epoch = NOT_LENT;
  #size = 0;
  #mask = 0;
  #eventIdx = false;
  #indirect = false;
  #desc = new Uint32Array(0);
  #avail = new Uint16Array(0);
  /** The used ring's `flags`, `idx` and `avail_event`. */
  #used = new Uint16Array(0);
  #usedRegion = 0;
  /** The same ring's elements, from word 1. */
  #usedElements = new Uint32Array(0);

  /**
   * @param index Its number
   * @param words Its {@linkcode VirtqueueState} as words
   * @param dma Guest memory
   * @param owner Its device
   */
  constructor(index: number, words: Int32Array, dma: DmaMap, owner: QueueOwner) {
    this.index = index;
    this.#words = words;
    this.#dma = dma;
    this.#owner = owner;
    this.#noted = dma.log?.flags ?? NOT_NOTED;
  }

  get size(): number {
    return this.#words[SIZE]!;
  }

  get ready(): boolean {
    return this.#words[LIVE] === Live.WORKED;
  }

  get waiting(): number {
    const words = this.#words;
    if (words[LIVE] !== Live.WORKED) return 0;
    if (words[EPOCH] !== this.#epoch) this.#map();
    this.#look();
    return (words[SEEN_AVAIL]! - words[LAST_AVAIL]!) & 0xffff;
  }

  pop(): Chain | undefined {
    const words = this.#words;
    if (words[LIVE] !== Live.WORKED) return undefined;
    if (words[EPOCH] !== this.#epoch) this.#map();
    const last = words[LAST_AVAIL]!;
    if (last === words[SEEN_AVAIL] && !this.#look()) return undefined;
    // Each has a head of its own, whatever its length: a driver that has none left lies.
    if (this.#lentChains === this.#size) {
      throw new ProtocolError(
        `Queue ${this.index}: more chains than its ${this.#size} descriptors`,
      );
    }
    const pool = this.#pool;
    if (pool.length === 0) pool.push(new BufferChain(this.#dma));
    const chain = pool[pool.length - 1]!;
    this.#walk(chain, this.#avail[2 + (last & this.#mask)]!);
    pool.pop();
    this.#lentChains++;
    chain.epoch = this.#epoch;
    words[LAST_AVAIL] = (last + 1) & 0xffff;
    return chain;
  }

  unpop(chain: Chain): void {
    if (!this.#takeBack(chain as BufferChain)) return;
    this.#words[LAST_AVAIL] = (this.#words[LAST_AVAIL]! - 1) & 0xffff;
  }

  push(chain: Chain, written: number): void {
    const { head } = chain as BufferChain;
    if (!this.#takeBack(chain as BufferChain)) return this.#noteChain(chain as BufferChain);
    const words = this.#words;
    const next = words[NEXT_USED]!;
    const element = 1 + 2 * (next & this.#mask);
    this.#usedElements[element] = head;
    this.#usedElements[element + 1] = written;
    words[NEXT_USED] = (next + 1) & 0xffff;
    words[UNSIGNALLED]!++;
    // Not before the element is there; and `signal` may look at the driver's wishes only after it.
    Atomics.store(this.#used, 1, next + 1);
    this.#noteChain(chain as BufferChain);
  }

  signal(): void {
    const words = this.#words;
    const pushed = words[UNSIGNALLED]!;
    if (pushed === 0 || words[LIVE] === Live.NO) return;
    if (words[EPOCH] !== this.#epoch) this.#map();
    words[UNSIGNALLED] = 0;
    if (this.#eventIdx) {
      // §2.7.7.2: when used_event is among the indices that were pushed.
      const event = Atomics.load(this.#avail, 2 + this.#size);
      if (((words[NEXT_USED]! - event - 1) & 0xffff) >= pushed) return;
    } else if ((Atomics.load(this.#avail, 0) & VIRTQ_AVAIL_F_NO_INTERRUPT) !== 0) {
      return;
    }
    this.#owner.interrupt(this.index);
  }

  disableNotifications(): void {
    const words = this.#words;
    if (words[LIVE] !== Live.WORKED) return;
    if (words[EPOCH] !== this.#epoch) this.#map();
    words[NO_NOTIFY] = 1;
    // With EVENT_IDX an avail_event that is left behind does it; the flag must stay 0 (§2.7.10).
    if (!this.#eventIdx) this.#tellFlags(VIRTQ_USED_F_NO_NOTIFY);
  }

  enableNotifications(): boolean {
    const words = this.#words;
    if (words[LIVE] !== Live.WORKED) return false;
    if (words[EPOCH] !== this.#epoch) this.#map();
    words[NO_NOTIFY] = 0;
    if (!this.#eventIdx) this.#tellFlags(0);
    return this.#look();
  }

  /**
   * Looks how far the driver is. Where there is nothing new it is asked to tell of the next chain, and
   * looked again, so that none slips through between.
   */
  #look(): boolean {
    const words = this.#words;
    const last = words[LAST_AVAIL]!;
    let idx = Atomics.load(this.#avail, 1);
    if (
      idx === last && this.#eventIdx && words[NO_NOTIFY] === 0 && words[AVAIL_EVENT] !== last
    ) {
      words[AVAIL_EVENT] = last;
      Atomics.store(this.#used, 2 + 4 * this.#size, last);
      this.#noteUsed();
      idx = Atomics.load(this.#avail, 1);
    }
    words[SEEN_AVAIL] = idx;
    if (idx === last) return false;
    if (((idx - last) & 0xffff) > this.#size) {
      words[SEEN_AVAIL] = last;
      throw new ProtocolError(
        `Queue ${this.index}: the available ring's index went from ${last} to ${idx}, ` +
          `by more than its ${this.#size} descriptors`,
      );
    }
    return true;
  }

  #tellFlags(flags: number): void {
    Atomics.store(this.#used, 0, flags);
    this.#noteUsed();
  }

  /** A chain was written, and perhaps pushed. */
  #noteChain(chain: BufferChain): void {
    if (this.#noted[WriteFlag.ON] !== 0) chain.noteWritten(this.#dma.log!);
    this.#noteUsed();
  }

  /** The used ring was written somewhere: it is a page or two. */
  #noteUsed(): void {
    const noted = this.#noted;
    if (noted[WriteFlag.ANY] === 0) noted[WriteFlag.ANY] = 1;
    if (noted[WriteFlag.ON] === 0) return;
    this.#dma.log!.mark(this.#usedRegion, this.#used.byteOffset, this.#used.byteLength);
  }

  /** Reads a chain's descriptors, each once. */
  #walk(chain: BufferChain, head: number): void {
    chain.clear();
    chain.head = head;
    const desc = this.#desc;
    const size = this.#size;
    let next = head;
    for (let count = 0;; count++) {
      if (next >= size) {
        throw new ProtocolError(`Queue ${this.index}: descriptor ${next} of ${size}`);
      }
      if (count === size) throw new ProtocolError(`Queue ${this.index}: a chain runs in a loop`);
      const at = 4 * next;
      const address = desc[at]! + desc[at + 1]! * 0x1_0000_0000;
      const length = desc[at + 2]!;
      const word = desc[at + 3]!;
      if ((word & VIRTQ_DESC_F_INDIRECT) !== 0) {
        this.#walkIndirect(chain, address, length, word);
        break;
      }
      chain.add(address, length, (word & VIRTQ_DESC_F_WRITE) !== 0);
      if ((word & VIRTQ_DESC_F_NEXT) === 0) break;
      next = word >>> 16;
    }
    this.#lent += chain.pieces;
    if (this.#lent > MOST_LENT) {
      this.#lent -= chain.pieces;
      throw new ProtocolError(`Queue ${this.index}: more than ${MOST_LENT} descriptors at once`);
    }
  }

  /** An indirect table (§2.7.5.3), at any address: the last of its chain. */
  #walkIndirect(chain: BufferChain, address: number, length: number, word: number): void {
    if (!this.#indirect) {
      throw new ProtocolError(`Queue ${this.index}: an indirect table was not negotiated`);
    }
    if ((word & VIRTQ_DESC_F_NEXT) !== 0) {
      throw new ProtocolError(`Queue ${this.index}: a descriptor follows an indirect table`);
    }
    const entries = length / DESC_BYTES;
    if (!Number.isInteger(entries) || entries === 0 || entries > MOST_INDIRECT) {
      throw new ProtocolError(`Queue ${this.index}: an indirect table of ${length} bytes`);
    }
    const region = this.#dma.find(address, length);
    if (region < 0) {
      throw new ProtocolError(
        `Queue ${this.index}: the indirect table at 0x${
          address.toString(16)
        } is not in guest memory`,
      );
    }
    const table = this.#dma.views[region]!;
    const start = this.#dma.offset(region, address);
    const most = Math.min(entries, Math.max(this.#size, MOST_CHAIN));
    let next = 0;
    for (let count = 0;; count++) {
      if (next >= entries) {
        throw new ProtocolError(`Queue ${this.index}: entry ${next} of ${entries} in a table`);
      }
      if (count === most) {
        throw new ProtocolError(`Queue ${this.index}: a chain runs in a loop, or is too long`);
      }
      const at = start + DESC_BYTES * next;
      const entryAddress = table.getUint32(at, true) + table.getUint32(at + 4, true) * 2 ** 32;
      const entryLength = table.getUint32(at + 8, true);
      const entryWord = table.getUint32(at + 12, true);
      if ((entryWord & VIRTQ_DESC_F_INDIRECT) !== 0) {
        throw new ProtocolError(`Queue ${this.index}: an indirect table in another`);
      }
      chain.add(entryAddress, entryLength, (entryWord & VIRTQ_DESC_F_WRITE) !== 0);
      if ((entryWord & VIRTQ_DESC_F_NEXT) === 0) return;
      next = entryWord >>> 16;
    }
  }

  /** Takes a chain back into the pool; false if the queue has been reset since it was popped. */
  #takeBack(chain: BufferChain): boolean {
    const { epoch } = chain;
    if (epoch === NOT_LENT) throw new Error(`Queue ${this.index}: a chain was given back twice`);
    chain.epoch = NOT_LENT;
    this.#pool.push(chain);
    if (epoch !== this.#epoch) return false;
    this.#lentChains--;
    this.#lent -= chain.pieces;
    return epoch === this.#words[EPOCH] && this.#words[LIVE] !== Live.NO;
  }

  /** Makes this thread's views of the rings that the driver has set up. */
  #map(): void {
    const words = this.#words;
    const size = words[SIZE]!;
    const at = (low: number) => (words[low]! >>> 0) + (words[low + 1]! >>> 0) * 0x1_0000_0000;
    const problem = ringProblem(this.#dma, size, at(DESC_LOW), at(DRIVER_LOW), at(DEVICE_LOW));
    if (problem !== undefined) throw new ProtocolError(`Queue ${this.index}: ${problem}`);
    const sizes = ringSizes(size);
    const [desc, driver, device] = [
      this.#place(at(DESC_LOW), sizes.desc),
      this.#place(at(DRIVER_LOW), sizes.driver),
      this.#place(at(DEVICE_LOW), sizes.device),
    ];
    this.#desc = new Uint32Array(desc.buffer, desc.offset, 4 * size);
    this.#avail = new Uint16Array(driver.buffer, driver.offset, 3 + size);
    this.#used = new Uint16Array(device.buffer, device.offset, 3 + 4 * size);
    this.#usedRegion = this.#dma.find(at(DEVICE_LOW), sizes.device);
    this.#usedElements = new Uint32Array(device.buffer, device.offset, 1 + 2 * size);
    this.#size = size;
    this.#mask = size - 1;
    this.#eventIdx = this.#owner.has(Feature.EVENT_IDX);
    this.#indirect = this.#owner.has(Feature.INDIRECT_DESC);
    this.#epoch = words[EPOCH]!;
    this.#lent = 0;
    this.#lentChains = 0;
    this.#pool.length = 0;
  }

  #place(address: number, length: number): { buffer: ArrayBuffer; offset: number } {
    const region = this.#dma.find(address, length);
    return {
      buffer: this.#dma.views[region]!.buffer,
      offset: this.#dma.offset(region, address),
    };
  }
}
