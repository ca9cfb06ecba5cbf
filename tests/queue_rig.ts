/**
 * One virtqueue between a driver and nobody's device: for tests of the ring itself.
 *
 * @module
 */
import { DmaMap } from "../vmm/virtio/dma.ts";
import { SplitQueue } from "../vmm/virtio/queue.ts";
import { startQueue, stopQueue, VirtqueueState } from "../vmm/virtio/queue_state.ts";
import { Feature } from "../vmm/virtio/virtio_device.ts";
import { GuardedMemory, type GuardedRegion } from "./guarded_memory.ts";
import { GuestHeap, VirtioDriver } from "./virtio_driver.ts";

const MIB = 2 ** 20;

/** What a test may choose. */
export interface QueueRigOptions {
  /** Descriptors. Default 8. */
  readonly size?: number;
  /** Default all. */
  readonly features?: readonly number[];
  /** Guest memory; the driver's is in the first region. Default 4 MiB at 0 and 1 MiB at 4 GiB. */
  readonly memory?: readonly GuardedRegion[];
}

/** A queue, its driver and their memory. */
export class QueueRig implements Disposable {
  readonly guarded: GuardedMemory;
  readonly driver: VirtioDriver;
  readonly state: InstanceType<typeof VirtqueueState>;
  /** How often the driver was interrupted. */
  interrupts = 0;
  readonly #words: Int32Array;
  readonly #features: readonly number[];

  /**
   * @param options The queue
   */
  constructor(options: QueueRigOptions = {}) {
    const { size = 8 } = options;
    this.#features = options.features ?? [Feature.EVENT_IDX, Feature.INDIRECT_DESC];
    this.guarded = new GuardedMemory(
      options.memory ?? [{ base: 0, size: 4 * MIB }, { base: 2 ** 32, size: MIB }],
    );
    const [first] = this.guarded.guest.regions;
    this.driver = new VirtioDriver(
      this.guarded.guest,
      new GuestHeap(first!.base, first!.buffer.byteLength),
      { size, eventIdx: this.#features.includes(Feature.EVENT_IDX) },
    );
    const buffer = new SharedArrayBuffer(VirtqueueState.size);
    this.state = new VirtqueueState(new DataView(buffer));
    this.#words = new Int32Array(buffer);
    this.place(size, this.driver.desc, this.driver.avail, this.driver.used);
  }

  /** Sets the queue up and going. */
  place(size: number, desc: number, avail: number, used: number): void {
    const s = this.state;
    s.size = size;
    [s.desc_low, s.desc_high] = halves(desc);
    [s.driver_low, s.driver_high] = halves(avail);
    [s.device_low, s.device_high] = halves(used);
    startQueue(this.#words);
  }

  /** Stops it, as a reset does. */
  stop(): void {
    stopQueue(this.#words);
  }

  /**
   * The queue as one more thread sees it.
   *
   * @param interrupted Called for each interrupt
   */
  open(interrupted: () => void = () => {}): SplitQueue {
    return new SplitQueue(0, this.#words, new DmaMap(this.guarded.guest), {
      has: (feature) => this.#features.includes(feature),
      interrupt: () => {
        this.interrupts++;
        interrupted();
      },
    });
  }

  [Symbol.dispose](): void {
    this.guarded[Symbol.dispose]();
  }
}

function halves(value: number): [low: number, high: number] {
  return [value % 2 ** 32, Math.floor(value / 2 ** 32)];
}
