/**
 * A memory balloon (virtio 1.2 §5.5): the guest gives pages up and takes them back, as the host wishes
 * or when it runs short of memory itself; reports what it has free anyway; and says how it does.
 *
 * What `target` means is the balloon's size, the memory that is taken from the guest.
 *
 * @module
 */
import * as v from "valibot";
import { DocumentError, VmError } from "../../ffi/errors.ts";
import type { Width } from "../device.ts";
import type { IoLoop, IoTimer } from "../io_loop.ts";
import { formatSize, parseDeviceSize, parseSize } from "../size.ts";
import { PAGE, PageRelease } from "./balloon/page_release.ts";
import { type BalloonRegisters, BalloonState, GUEST_FIGURES } from "./balloon/state.ts";
import {
  type Chain,
  ProtocolError,
  type VirtioContext,
  type VirtioDevice,
  type VirtioDeviceType,
  type Virtqueue,
} from "./virtio_device.ts";

/** Feature bits (§5.5.3). */
const VIRTIO_BALLOON_F = {
  STATS_VQ: 1,
  DEFLATE_ON_OOM: 2,
  PAGE_POISON: 4,
  PAGE_REPORTING: 5,
} as const;

/** `struct virtio_balloon_config` (§5.5.4), with `free_page_hint_cmd_id` at 8, which nobody uses. */
const CONFIG_BYTES = 16;
const Config = { NUM_PAGES: 0, ACTUAL: 4, POISON_VAL: 12 } as const;

const INFLATEQ = 0;
const DEFLATEQ = 1;
const STATSQ = 2;
/** Page frame numbers that a buffer may have; Linux gives 256 (VIRTIO_BALLOON_ARRAY_PFNS_MAX). */
const MOST_PAGES = 16384;
/** Bytes of `struct virtio_balloon_stat`: a 16-bit tag and a 64-bit value. */
const STAT_BYTES = 10;
/** Entries of a statistics buffer that are looked at. */
const MOST_STATS = 64;
/** Ranges given back, or buffers, in one turn, before other devices have theirs. */
const TURN = 1024;
const MOST_IOVECS = 1024;

const seconds = v.pipe(
  v.number(),
  v.minValue(0),
  v.maxValue(86400),
  v.check((s) => s === 0 || s >= 0.1, "is neither 0 nor 0.1 seconds or more"),
);
const size = v.pipe(
  v.union([v.number(), v.string()]),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    try {
      return parseSize(dataset.value);
    } catch (error) {
      addIssue({ message: (error as Error).message });
      return NEVER;
    }
  }),
);

const Schema = v.looseObject({
  /** Memory that is taken from the guest from the start: bytes, or text such as "256M". Default 0. */
  target: v.optional(size, 0),
  /** Whether the guest may take memory back when it has none left. Default true. */
  deflateOnOom: v.optional(v.boolean(), true),
  /** Seconds between the guest's figures, from 0.1; 0 for only those that it gives at its start. */
  statsInterval: v.optional(seconds, 0),
  /** Whether memory that the guest has free goes back to the host all the time. Default true. */
  reporting: v.optional(v.boolean(), true),
});

/** A balloon's entry in the document. */
export type BalloonConfig = v.InferOutput<typeof Schema>;

class Balloon implements VirtioDevice {
  readonly features: readonly number[];
  readonly configSize = CONFIG_BYTES;
  readonly #config: BalloonConfig;
  readonly #context: VirtioContext;
  readonly #state: BalloonRegisters;
  readonly #release: PageRelease;
  readonly #pages = new Uint32Array(MOST_PAGES);
  readonly #bytes = new Uint8Array(this.#pages.buffer);
  readonly #iovecs = new Uint32Array(4 * MOST_IOVECS);
  #loop: IoLoop | undefined;
  #timer: IoTimer | undefined;

  constructor(config: BalloonConfig, context: VirtioContext) {
    const { STATS_VQ, DEFLATE_ON_OOM, PAGE_POISON, PAGE_REPORTING } = VIRTIO_BALLOON_F;
    this.#config = config;
    this.#context = context;
    this.#state = new BalloonState(context.state);
    this.#release = new PageRelease(context.memory, this.#state);
    if (config.target > this.#ramSize) {
      throw new DocumentError(
        `VM document, ${context.name}: the target ${formatSize(config.target)} is more than the ` +
          `guest's ${formatSize(this.#ramSize)}`,
      );
    }
    this.features = [
      STATS_VQ,
      ...(config.deflateOnOom ? [DEFLATE_ON_OOM] : []),
      ...(config.reporting ? [PAGE_POISON, PAGE_REPORTING] : []),
    ];
  }

  readConfig(offset: number, width: Width): number {
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.#configByte(offset + i);
    return value;
  }

  /** The driver writes `actual` and `poison_val`, each at once. */
  writeConfig(offset: number, width: Width, value: number): void {
    if (width !== 4) return;
    if (offset === Config.ACTUAL) this.#state.actual = value;
    else if (offset === Config.POISON_VAL) this.#state.poison_val = value;
  }

  /** What the host wants stays. */
  reset(): void {
    const state = this.#state;
    if (state.initialised === 0) {
      state.initialised = 1;
      state.num_pages = Math.floor(this.#config.target / PAGE);
    }
    state.actual = 0;
    state.poison_val = 0;
    state.figures_known = 0;
  }

  restored(): void {
    const state = this.#state;
    if (state.num_pages * PAGE > this.#ramSize) {
      throw new TypeError(`state.num_pages is ${state.num_pages}, more than the guest has`);
    }
    state.initialised = 1;
  }

  attend(loop: IoLoop): void {
    this.#loop = loop;
    this.#timer = loop.timer(() => this.#poll());
  }

  notified(queue: number): void {
    switch (queue) {
      case INFLATEQ:
        return this.#serve(queue, (chain) => this.#inflate(chain));
      case DEFLATEQ:
        return this.#serve(queue, (chain) => this.#deflate(chain));
      case STATSQ:
        if (this.#context.has(VIRTIO_BALLOON_F.STATS_VQ)) return this.#takeFigures();
    }
    // §5.5.2 gives reporting number 4. Drivers number only the queues that there are, as Linux does
    // before 6.11: 3, or 2 where statistics were not negotiated.
    if (this.#context.has(VIRTIO_BALLOON_F.PAGE_REPORTING)) {
      this.#serve(queue, (chain) => this.#report(chain));
    }
  }

  close(): void {
    this.#timer?.at(Infinity);
  }

  /** `target SIZE`: how much memory the guest is to give up, all in all. */
  action(name: string, value?: string): boolean {
    if (name !== "target") return false;
    const { name: device } = this.#context;
    const bytes = parseDeviceSize(device, value ?? "");
    if (bytes > this.#ramSize) {
      throw new VmError(
        `${device}: cannot take ${formatSize(bytes)} from a guest that has ` +
          formatSize(this.#ramSize),
      );
    }
    this.#state.num_pages = Math.floor(bytes / PAGE);
    this.#context.configChanged();
    return true;
  }

  readonly gauges: readonly string[] = [
    ...["target", "actual", "free_memory", "total_memory", "available_memory", "disk_caches"],
  ];

  stats(): Readonly<Record<string, number>> {
    const state = this.#state;
    const figures: Record<string, number> = {};
    for (const [tag, name] of GUEST_FIGURES.entries()) {
      if ((state.figures_known >>> tag & 1) !== 0) figures[name] = state.figures.at(tag);
    }
    return {
      target: state.num_pages * PAGE,
      actual: Math.min(state.actual * PAGE, this.#ramSize), // the guest's own word
      inflated: state.inflated * PAGE,
      deflated: state.deflated * PAGE,
      reported: state.reported,
      released: state.released,
      invalid: state.invalid,
      failed: state.failed,
      ...figures,
    };
  }

  get #ramSize(): number {
    return this.#context.memory.ramSize;
  }

  #configByte(offset: number): number {
    const state = this.#state;
    const shift = 8 * (offset & 3);
    switch (offset & ~3) {
      case Config.NUM_PAGES:
        return state.num_pages >>> shift & 0xff;
      case Config.ACTUAL:
        return state.actual >>> shift & 0xff;
      case Config.POISON_VAL:
        return state.poison_val >>> shift & 0xff;
      default:
        return 0;
    }
  }

  /**
   * Works a queue's buffers, some in a turn.
   *
   * @param work Works one; gives how much work it was at most
   */
  #serve(index: number, work: (chain: Chain) => number): void {
    const queue = this.#context.queues[index]!;
    let left = TURN;
    while (left > 0) {
      const chain = queue.pop();
      if (chain === undefined) break;
      left -= work(chain) + 1;
      queue.push(chain, 0);
    }
    queue.signal();
    if (left <= 0) this.#loop!.later(() => this.notified(index));
  }

  /** Page frame numbers of the guest's, 32 bits each (§5.5.6). */
  #inflate(chain: Chain): number {
    const count = this.#countPages(chain);
    chain.read(0, this.#bytes.subarray(0, 4 * count));
    this.#state.inflated += count;
    this.#release.pages(this.#pages.subarray(0, count));
    return count;
  }

  /** What is written to a page that was given up makes it anew: there is nothing to do. */
  #deflate(chain: Chain): number {
    this.#state.deflated += this.#countPages(chain);
    return 0;
  }

  #countPages(chain: Chain): number {
    const count = Math.floor(chain.readable / 4);
    if (count <= MOST_PAGES) return count;
    throw new ProtocolError(`A buffer has ${count} pages of the balloon, more than ${MOST_PAGES}`);
  }

  /**
   * Free memory, a descriptor a range (§5.5.6.7). A guest that relies on what its free pages read as
   * must find that or `poison_val` there (§5.5.6.7.2), and the host can only make them zero.
   */
  #report(chain: Chain): number {
    this.#state.reported += chain.writable;
    const filled = this.#context.has(VIRTIO_BALLOON_F.PAGE_POISON);
    if (filled && this.#state.poison_val !== 0) return 0;
    for (let offset = 0; offset < chain.writable;) {
      const count = chain.writableIovecs(offset, chain.writable - offset, this.#iovecs);
      for (let i = 0; i < count; i++) {
        const at = 4 * i;
        const length = this.#iovecs[at + 2]! + this.#iovecs[at + 3]! * 2 ** 32;
        const address = this.#iovecs[at]! + this.#iovecs[at + 1]! * 2 ** 32;
        this.#release.hostRange(address, length, filled);
        offset += length;
      }
    }
    return chain.writableCount;
  }

  /** The guest's one buffer of figures; it stays in the queue until new ones are wanted (§5.5.6.3). */
  #takeFigures(): void {
    const queue = this.#statsQueue;
    const chain = queue.pop();
    if (chain === undefined) return;
    const state = this.#state;
    const count = Math.min(Math.floor(chain.readable / STAT_BYTES), MOST_STATS);
    for (let i = 0; i < count; i++) {
      const tag = chain.readU16(STAT_BYTES * i);
      const value = chain.readU64(STAT_BYTES * i + 2);
      // All ones is what the guest doesn't know.
      if (tag >= GUEST_FIGURES.length || value >= 2 ** 64) continue;
      state.figures.set(tag, value);
      state.figures_known |= 1 << tag;
    }
    queue.unpop(chain);
    const { statsInterval } = this.#config;
    if (statsInterval === 0) return;
    this.#timer!.at(this.#context.monotonic() + statsInterval * 1000);
  }

  /** Gives the buffer back, which asks for new figures. */
  #poll(): void {
    if (!this.#context.has(VIRTIO_BALLOON_F.STATS_VQ)) return;
    const queue = this.#statsQueue;
    const chain = queue.pop();
    if (chain === undefined) return;
    queue.push(chain, 0);
    // With EVENT_IDX the driver tells of the next one only if the empty queue was looked at (§2.7.10).
    const refilled = queue.waiting > 0;
    queue.signal();
    if (refilled) this.#takeFigures();
  }

  get #statsQueue(): Virtqueue {
    return this.#context.queues[STATSQ]!;
  }
}

/** The memory balloon. */
export const balloon: VirtioDeviceType<BalloonConfig> = {
  type: "balloon",
  virtio: 5,
  pciClass: 0x05_8000, // other memory controller
  state: BalloonState,
  schema: Schema,
  queues: () => [128, 128, 16, 32, 32],
  open: (config, context) => new Balloon(config, context),
};
