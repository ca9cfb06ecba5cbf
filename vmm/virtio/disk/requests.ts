/**
 * A disk's requests on the I/O thread: chains of the queues in, the backend's work by tag, statuses
 * out (virtio 1.2 §5.2.6). Chains of one notification go to the kernel together, and nothing is
 * allocated for any of them.
 *
 * @module
 */
import { Errno } from "../../../ffi/errno.ts";
import type { Struct } from "../../../ffi/struct.ts";
import {
  type DiskBackend,
  type DiskClient,
  MOST_REQUESTS,
  type OpenBackend,
} from "../../backends/disk/backend.ts";
import { IovecTable, MOST_IOVECS } from "../../backends/disk/iovec_table.ts";
import type { IoLoop, IoTimer } from "../../io_loop.ts";
import { RateLimit, type RateLimitConfig } from "../rate_limit.ts";
import { type Chain, ProtocolError, type VirtioContext, type Virtqueue } from "../virtio_device.ts";
import {
  BlkFeature,
  BlkStatus,
  BlkType,
  HEADER_BYTES,
  ID_BYTES,
  MOST_BYTES,
  MOST_DISCARD_SECTORS,
  MOST_SEGMENTS,
  MOST_ZEROES_SECTORS,
  SECTOR,
  SEGMENT_BYTES,
  SEGMENT_UNMAP,
} from "./protocol.ts";
import { FailureReport } from "./failure_report.ts";
import { countRequest, type DiskState, WRITEBACK_UNTOUCHED } from "./state.ts";

/** What the requests need to know of their disk. */
export interface DiskTraits {
  readonly readOnly: boolean;
  readonly serial: string;
  readonly limit: RateLimitConfig | undefined;
}

/** Requests, and bytes of them, before other devices have their turn. */
const TURN_REQUESTS = 256;
const TURN_BYTES = 2 ** 24;
/** The requests of one disk. */
export class DiskRequests implements DiskClient {
  readonly #context: VirtioContext;
  readonly #state: Struct<typeof DiskState>;
  readonly #traits: DiskTraits;
  readonly #id: Uint8Array;
  readonly #loop: IoLoop;
  readonly #iovecs = new IovecTable(MOST_REQUESTS);
  readonly #backend: DiskBackend;
  readonly #limit: RateLimit | undefined;
  readonly #timer: IoTimer;

  readonly #free = Uint16Array.from({ length: MOST_REQUESTS }, (_, i) => MOST_REQUESTS - 1 - i);
  #freeCount = MOST_REQUESTS;
  readonly #chains: (Chain | undefined)[] = new Array(MOST_REQUESTS).fill(undefined);
  readonly #queue = new Uint8Array(MOST_REQUESTS);
  readonly #type = new Uint32Array(MOST_REQUESTS);
  readonly #length = new Float64Array(MOST_REQUESTS);
  /** The next segment of a discard or write zeroes request. */
  readonly #segment = new Uint8Array(MOST_REQUESTS);
  /** Whether the request only waits to be durable. */
  readonly #settling = new Uint8Array(MOST_REQUESTS);
  /** By queue: chains were pushed since the last signal; chains wait for a tag or their rate. */
  readonly #pushed: Uint8Array;
  readonly #hungry: Uint8Array;
  /** Whether a queue waits for a tag. */
  #starved = false;
  /** Bytes that are left of this turn. */
  #bytes = 0;
  readonly #report: FailureReport;

  /**
   * @param context The device's
   * @param state The device's
   * @param traits The disk
   * @param open Opens what is behind it
   * @param loop The I/O thread's
   */
  constructor(
    context: VirtioContext,
    state: Struct<typeof DiskState>,
    traits: DiskTraits,
    open: OpenBackend,
    loop: IoLoop,
  ) {
    this.#context = context;
    this.#state = state;
    this.#traits = traits;
    this.#loop = loop;
    this.#report = new FailureReport((event) => context.event(event));
    this.#id = new Uint8Array(ID_BYTES);
    new TextEncoder().encodeInto(traits.serial, this.#id);
    this.#pushed = new Uint8Array(context.queues.length);
    this.#hungry = new Uint8Array(context.queues.length);
    if (traits.limit !== undefined) this.#limit = new RateLimit(traits.limit, context.monotonic());
    this.#timer = loop.timer(() => this.#feed());
    this.#backend = open(loop, this.#iovecs, this);
    state.io_uring = this.#backend.engine === "io_uring" ? 1 : 0;
  }

  /** Works a queue off, as far as tags, the rate and other devices' turns allow. */
  serve(index: number): void {
    const queue = this.#context.queues[index]!;
    try {
      this.#take(queue);
    } finally {
      this.#giveOn(); // also what came before a chain that breaks the protocol
    }
  }

  /** Gives up what can be given up. */
  cancel(): void {
    this.#hungry.fill(0);
    this.#backend.cancel();
  }

  /** Has the storage hold all that belongs there; nothing is under way. */
  settle(): void {
    this.#backend.settle?.();
  }

  /** Ends what is under way and frees the backend. */
  close(): void {
    this.#timer.at(Infinity);
    this.#backend.close();
  }

  done(tag: number, errno: number): void {
    const type = this.#type[tag]!;
    if (errno !== 0) return this.#fail(tag, errno);
    if (this.#settling[tag] === 0) {
      if (type === BlkType.DISCARD || type === BlkType.WRITE_ZEROES) {
        if (this.#nextSegment(tag)) return;
      }
      if (type !== BlkType.IN && type !== BlkType.FLUSH && this.#writesThrough()) {
        this.#settling[tag] = 1;
        return this.#backend.flush(tag);
      }
    }
    countRequest(this.#state, type, this.#length[tag]!);
    this.#finish(tag, BlkStatus.OK);
  }

  settled(): void {
    this.#feed();
  }

  failed(message: string): void {
    this.#context.event({ kind: "error", message });
  }

  #take(queue: Virtqueue): void {
    let budget = TURN_REQUESTS;
    this.#bytes = TURN_BYTES;
    do {
      queue.disableNotifications();
      for (;;) {
        if (this.#freeCount === 0) {
          this.#hungry[queue.index] = 1;
          this.#starved = true;
          return;
        }
        if (this.#waitsForRate(queue)) {
          this.#hungry[queue.index] = 1;
          return;
        }
        if (budget === 0 || this.#bytes <= 0) {
          this.#loop.later(() => this.serve(queue.index));
          return;
        }
        const chain = queue.pop();
        if (chain === undefined) break;
        budget--;
        this.#begin(queue, chain);
      }
      this.#backend.submit();
    } while (queue.enableNotifications());
  }

  /** Serves the queues that had to wait. */
  #feed(): void {
    this.#starved = false;
    for (let index = 0; index < this.#hungry.length; index++) {
      if (this.#hungry[index] === 0) continue;
      this.#hungry[index] = 0;
      this.serve(index);
    }
    this.#giveOn();
  }

  #giveOn(): void {
    this.#backend.submit();
    for (let index = 0; index < this.#pushed.length; index++) {
      if (this.#pushed[index] === 0) continue;
      this.#pushed[index] = 0;
      this.#context.queues[index]!.signal();
    }
    // Requests may have ended as soon as they were submitted: then nobody calls for those who wait.
    if (this.#starved && this.#freeCount > 0) {
      this.#starved = false;
      this.#loop.later(() => this.#feed());
    }
  }

  #waitsForRate(queue: Virtqueue): boolean {
    if (this.#limit === undefined || queue.waiting === 0) return false;
    const now = this.#context.monotonic();
    const at = this.#limit.readyAt(now);
    if (at <= now) return false;
    this.#state.limited++;
    this.#timer.at(at);
    return true;
  }

  #begin(queue: Virtqueue, chain: Chain): void {
    // Without a byte for its status a request cannot be answered (§5.2.6).
    if (chain.writable === 0) throw new ProtocolError("A request has no status byte");
    const tag = this.#free[--this.#freeCount]!;
    this.#chains[tag] = chain;
    this.#queue[tag] = queue.index;
    this.#settling[tag] = 0;
    this.#length[tag] = 0;
    this.#state.in_flight++;
    if (chain.readable < HEADER_BYTES) return this.#refuse(tag, BlkStatus.IOERR);
    const type = this.#type[tag] = chain.readU32(0);
    switch (type) {
      case BlkType.IN:
      case BlkType.OUT:
        this.#transfer(tag, chain, type);
        break;
      case BlkType.FLUSH:
        this.#limit?.charge(0);
        this.#backend.flush(tag);
        break;
      case BlkType.GET_ID:
        this.#getId(tag, chain);
        break;
      case BlkType.DISCARD:
      case BlkType.WRITE_ZEROES:
        this.#range(tag, chain, type);
        break;
      default:
        this.#refuse(tag, BlkStatus.UNSUPP);
    }
  }

  #transfer(tag: number, chain: Chain, type: number): void {
    const reads = type === BlkType.IN;
    const length = reads ? chain.writable - 1 : chain.readable - HEADER_BYTES;
    const sector = chain.readU64(8);
    this.#limit?.charge(length);
    if (
      length === 0 || length % SECTOR !== 0 || length > MOST_BYTES ||
      sector + length / SECTOR > this.#state.capacity || (!reads && this.#traits.readOnly)
    ) {
      return this.#refuse(tag, BlkStatus.IOERR);
    }
    const row = this.#iovecs.rows[tag]!;
    const count = reads
      ? chain.writableIovecs(0, length, row)
      : chain.readableIovecs(HEADER_BYTES, length, row);
    // More pieces than seg_max allows can be more than there is room for.
    if (count === MOST_IOVECS && !this.#iovecs.holds(tag, count, length)) {
      return this.#refuse(tag, BlkStatus.IOERR);
    }
    this.#bytes -= length;
    this.#iovecs.counts[tag] = count;
    this.#iovecs.lengths[tag] = length;
    this.#length[tag] = length;
    if (reads) this.#backend.read(tag, sector * SECTOR, length);
    else this.#backend.write(tag, sector * SECTOR, length);
  }

  #getId(tag: number, chain: Chain): void {
    this.#limit?.charge(0);
    if (chain.writable - 1 < ID_BYTES) return this.#refuse(tag, BlkStatus.IOERR);
    chain.write(0, this.#id);
    this.#length[tag] = ID_BYTES;
    this.#finish(tag, BlkStatus.OK);
  }

  #range(tag: number, chain: Chain, type: number): void {
    this.#limit?.charge(0);
    const feature = type === BlkType.DISCARD ? BlkFeature.DISCARD : BlkFeature.WRITE_ZEROES;
    const length = chain.readable - HEADER_BYTES;
    if (this.#traits.readOnly) return this.#refuse(tag, BlkStatus.IOERR);
    if (!this.#context.has(feature)) return this.#refuse(tag, BlkStatus.UNSUPP);
    if (length === 0 || length % SEGMENT_BYTES !== 0 || length > MOST_SEGMENTS * SEGMENT_BYTES) {
      return this.#refuse(tag, BlkStatus.IOERR);
    }
    this.#segment[tag] = 0;
    this.#nextSegment(tag);
  }

  /** Begins the next segment, each read once and checked; false behind the last one. */
  #nextSegment(tag: number): boolean {
    const chain = this.#chains[tag]!;
    const at = HEADER_BYTES + SEGMENT_BYTES * this.#segment[tag]!++;
    if (at >= chain.readable) return false;
    const sector = chain.readU64(at);
    const sectors = chain.readU32(at + 8);
    const flags = chain.readU32(at + 12);
    const discard = this.#type[tag] === BlkType.DISCARD;
    if ((flags & ~(discard ? 0 : SEGMENT_UNMAP)) !== 0) {
      this.#refuse(tag, BlkStatus.UNSUPP); // §5.2.6.2
    } else if (
      sectors === 0 || sectors > (discard ? MOST_DISCARD_SECTORS : MOST_ZEROES_SECTORS) ||
      sector + sectors > this.#state.capacity
    ) {
      this.#refuse(tag, BlkStatus.IOERR);
    } else if (discard) {
      this.#backend.discard(tag, sector * SECTOR, sectors * SECTOR);
    } else {
      this.#bytes -= sectors * SECTOR;
      this.#backend.writeZeroes(tag, sector * SECTOR, sectors * SECTOR, flags !== 0);
    }
    return true;
  }

  /** Whether a write is only done when it is durable (§5.2.6.2). */
  #writesThrough(): boolean {
    const flush = this.#context.has(BlkFeature.FLUSH);
    if (!this.#context.has(BlkFeature.CONFIG_WCE)) return !flush;
    const { writeback } = this.#state;
    return writeback === WRITEBACK_UNTOUCHED ? !flush : writeback === 0;
  }

  /** The host failed. */
  #fail(tag: number, errno: number): void {
    this.#refuse(tag, errno === Errno.ENOTSUP ? BlkStatus.UNSUPP : BlkStatus.IOERR);
    if (errno === Errno.ECANCELED) return; // a reset gave it up
    this.#report.add(errno, this.#context.monotonic());
  }

  #refuse(tag: number, status: number): void {
    this.#state.errors++;
    this.#length[tag] = 0;
    this.#finish(tag, status);
  }

  #finish(tag: number, status: number): void {
    const chain = this.#chains[tag]!;
    const queue = this.#queue[tag]!;
    const last = chain.writable - 1;
    chain.writeU8(last, status);
    const reads = this.#type[tag] === BlkType.IN || this.#type[tag] === BlkType.GET_ID;
    const data = reads ? this.#length[tag]! : 0;
    // Only what was written from the start counts (§2.7.8.2): the status byte's place is the last.
    this.#context.queues[queue]!.push(chain, data === last ? last + 1 : data);
    this.#pushed[queue] = 1;
    this.#chains[tag] = undefined;
    this.#free[this.#freeCount++] = tag;
    this.#state.in_flight--;
  }
}
