/**
 * What every virtio transport does alike (virtio 1.2 §2.1 to §2.6, §3): status, features, reset, and
 * what happens to a device whose driver breaks the protocol. The transports beside it know registers.
 *
 * @module
 */
import type { Struct } from "../../ffi/struct.ts";
import type { DeviceContext, IoEvent, Width } from "../device.ts";
import { readConfigSpace } from "./config_space.ts";
import { DmaMap } from "./dma.ts";
import { OfferedFeatures } from "./features.ts";
import { type QueueOwner, SplitQueue } from "./queue.ts";
import { QueueRegisters } from "./queue_registers.ts";
import { checkQueue, checkTransport } from "./restored_transport.ts";
import {
  holdQueue,
  letQueueGo,
  resumeQueue,
  startQueue,
  stopQueue,
  VirtqueueState,
} from "./queue_state.ts";
import { nextStatus, Status } from "./status.ts";
import { MOST_QUEUES, NO_VECTOR, VirtioState } from "./transport_state.ts";
import type { VirtioContext, VirtioDevice, VirtioDeviceType } from "./virtio_device.ts";

/** What a transport's bus does for a device. */
export interface TransportBus {
  /** Interrupts the driver because of a queue. */
  interruptQueue(queue: number): void;
  /** Interrupts the driver because the configuration has changed, or a reset is needed. */
  interruptConfig(): void;
  /** Takes back a level-triggered interrupt. */
  lowerInterrupt(): void;
  /** Makes it anew. */
  raiseInterrupt(): void;
  /** Has KVM signal a queue's eventfd when the driver notifies, where that is possible now. */
  connect(queue: number): void;
  /** Undoes {@linkcode connect}. */
  disconnect(queue: number): void;
}

/** A virtio device behind its transport, as one thread sees it. */
export class VirtioTransport implements QueueOwner {
  /** The registers. */
  readonly state: Struct<typeof VirtioState>;
  /** The selected queue's registers. */
  readonly selected: QueueRegisters;
  /** The device. */
  readonly device: VirtioDevice;
  /** What it offers. */
  readonly offered: OfferedFeatures;
  readonly #context: DeviceContext;
  readonly #bus: TransportBus;
  readonly #queues: readonly SplitQueue[];
  readonly #words: readonly Int32Array[];
  /** Queues that the I/O thread works; the others are worked by who notifies. */
  readonly attended: readonly number[];

  /**
   * @param type The device's kind
   * @param config Its entry of the document
   * @param context What the machine gives it; its state begins with {@linkcode VirtioState}
   * @param bus The transport's bus
   */
  constructor(
    type: VirtioDeviceType,
    config: unknown,
    context: DeviceContext,
    bus: TransportBus,
  ) {
    const { buffer, byteOffset } = context.state;
    const sizes = queueSizes(type, config);
    this.#context = context;
    this.#bus = bus;
    this.attended = sizes.map((_, i) => i).filter((i) => !type.inline?.includes(i));
    this.state = new VirtioState(context.state);
    this.#words = sizes.map((_, i) =>
      new Int32Array(
        buffer,
        byteOffset + VirtioState.offsets.queues + i * VirtqueueState.size,
        VirtqueueState.size / 4,
      )
    );
    const dma = new DmaMap(context.memory);
    this.#queues = this.#words.map((words, i) => new SplitQueue(i, words, dma, this));
    this.selected = new QueueRegisters(this, dma, sizes);
    const own = new DataView(buffer, byteOffset + VirtioState.size, type.state.size);
    this.device = type.open(config, this.#virtioContext(own));
    this.offered = new OfferedFeatures(this.device.features, this.device.formerFeatures);
  }

  /** How many queues it has. */
  get queueCount(): number {
    return this.#queues.length;
  }

  /** Whether the driver has set DRIVER_OK, and no reset is needed or under way. */
  get running(): boolean {
    const { status, resetting } = this.state;
    return (status & (Status.DRIVER_OK | Status.DEVICE_NEEDS_RESET)) === Status.DRIVER_OK &&
      resetting === 0;
  }

  has(feature: number): boolean {
    const s = this.state;
    if ((s.status & Status.FEATURES_OK) === 0 || feature > 63) return false;
    const word = feature < 32 ? s.driver_features_low : s.driver_features_high;
    return (word & (1 << (feature & 31))) !== 0;
  }

  interrupt(queue: number): void {
    this.state.interrupts++;
    this.#bus.interruptQueue(queue);
  }

  /** The words of a queue's state. */
  queueWords(queue: number): Int32Array {
    return this.#words[queue]!;
  }

  /**
   * Calls the device: a broken protocol is the driver's fault, and stays with this device. A reset
   * that waited goes on when nothing is in flight any more.
   *
   * @param work What to do
   */
  readonly guard = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      // By name: a user's module may have another copy of the class.
      if ((error as Error)?.name !== "ProtocolError") throw error;
      this.fail((error as Error).message);
    }
    if (this.state.resetting !== 0) this.#finishReset();
  };

  /** A word of the features that the driver has chosen; written before FEATURES_OK only. */
  writeDriverFeatures(value: number): void {
    const s = this.state;
    if ((s.status & Status.FEATURES_OK) !== 0) return;
    switch (s.driver_feature_select) {
      case 0:
        s.driver_features_low = value;
        break;
      case 1:
        s.driver_features_high = value;
        break;
      default:
        s.driver_features_beyond = value;
    }
  }

  /** What the driver reads back of {@linkcode writeDriverFeatures}. */
  readDriverFeatures(): number {
    const s = this.state;
    if (s.driver_feature_select === 0) return s.driver_features_low;
    return s.driver_feature_select === 1 ? s.driver_features_high : 0;
  }

  /**
   * The driver writes the status.
   *
   * @param written What; 0 for a reset
   */
  writeStatus(written: number): void {
    const s = this.state;
    if (written === 0) {
      s.resets++;
      this.reset();
      if (s.resetting !== 0) this.#context.hold(() => s.resetting === 0);
      return;
    }
    const old = s.status;
    const accepts = () =>
      this.offered.accepts(
        s.driver_features_low,
        s.driver_features_high,
        s.driver_features_beyond,
      );
    s.status = nextStatus(old, written, accepts);
    if ((s.status & ~old & Status.DRIVER_OK) !== 0) this.#start();
  }

  /**
   * Puts everything to its power-on value: at once, or when the kernel has given back what it has of
   * the guest's memory.
   */
  reset(): void {
    const s = this.state;
    this.#stopQueues();
    this.disconnect();
    s.resetting = 1;
    if (!this.#finishReset()) this.#context.wake();
  }

  /**
   * The device is to leave memory alone: one that runs is reset, and the vCPU waits for what is in flight.
   *
   * Linux clears the bus master bit of what still runs when it starts another kernel (kexec), which sets it
   * before it resets the device. Queues that went on in between would be worked where they were, in memory
   * that is now the other kernel's.
   */
  cutOff(): void {
    if ((this.state.status & Status.DRIVER_OK) !== 0) this.writeStatus(0);
  }

  /**
   * The driver notifies of a queue in a way that comes here and not to the queue's eventfd.
   *
   * @param queue Its number, as the driver wrote it
   */
  notify(queue: number): void {
    if (queue >= this.#queues.length) return;
    if (this.attended.includes(queue)) this.event(queue).signal();
    else this.notified(queue);
  }

  /** The driver has notified of a queue: has the device look, if it runs. */
  notified(queue: number): void {
    if (!this.#queues[queue]!.ready) return;
    this.state.notifications++;
    this.device.notified(queue);
  }

  /** A queue's eventfd. */
  event(queue: number): IoEvent {
    return this.#context.events[queue]!;
  }

  /**
   * The driver reads the configuration space.
   *
   * @param offset Bytes from its start
   * @param width 1, 2 or 4
   * @returns The value; ones for what is past the end
   */
  readConfig(offset: number, width: Width): number {
    let value = 2 ** (8 * width) - 1;
    this.guard(() => {
      value = readConfigSpace(this.device, offset, width);
    });
    return value;
  }

  /**
   * DEVICE_NEEDS_RESET (§2.1.2): the queues stop until the driver resets the device. A guest that
   * does this for ever is heard of ever more seldom.
   *
   * @param reason For a person
   */
  fail(reason: string): void {
    const s = this.state;
    if ((s.status & Status.DEVICE_NEEDS_RESET) !== 0 || s.resetting !== 0) return;
    this.#stopQueues();
    s.status |= Status.DEVICE_NEEDS_RESET;
    const count = ++s.needs_resets;
    if ((count & (count - 1)) === 0) {
      this.#context.event({ kind: "needs-reset", message: reason, count });
    }
    if ((s.status & Status.DRIVER_OK) !== 0) this.configChanged();
  }

  /** Tells the driver that the configuration has changed. */
  configChanged(): void {
    const s = this.state;
    s.config_generation++;
    if ((s.status & Status.DRIVER_OK) === 0 || s.resetting !== 0) return;
    s.interrupts++;
    this.#bus.interruptConfig();
  }

  /** Has KVM signal the eventfds of the queues that are enabled, if the device runs. */
  connect(): void {
    if (!this.running) return;
    this.state.connected = 1;
    this.#forEnabled((queue) => this.#bus.connect(queue));
  }

  /** Undoes {@linkcode connect}, if that was done. */
  disconnect(): void {
    if (this.state.connected === 0) return;
    this.state.connected = 0;
    this.#forEnabled((queue) => this.#bus.disconnect(queue));
  }

  /**
   * Goes on from registers that were written from outside. Whatever was notified before is looked for
   * as soon as there is an I/O thread.
   *
   * @throws {TypeError} Naming what can't be so
   */
  restored(): void {
    const s = this.state;
    checkTransport(s, this.offered);
    for (const [queue, { buffer, byteOffset, byteLength }] of this.#words.entries()) {
      checkQueue(queue, new DataView(buffer, byteOffset, byteLength));
      this.selected.check(queue);
    }
    const { running } = this;
    for (const words of this.#words) resumeQueue(words, running && words[ENABLED] !== 0);
    this.device.restored?.();
    if (s.isr !== 0) this.#bus.raiseInterrupt();
    this.connect();
    this.thaw();
  }

  /** Has all queues look empty from now on; what is in flight still comes to its end. */
  freeze(): void {
    for (const words of this.#words) holdQueue(words);
  }

  /** Undoes {@linkcode freeze}, and has the device look at every queue. */
  thaw(): void {
    for (const [queue, words] of this.#words.entries()) {
      if (letQueueGo(words) && this.attended.includes(queue)) this.event(queue).signal();
    }
    this.#context.wake();
  }

  #virtioContext(state: DataView): VirtioContext {
    const context = this.#context;
    const isRunning = () => this.running;
    return {
      name: context.name,
      state,
      memory: context.memory,
      output: context.output,
      queues: this.#queues,
      has: (feature) => this.has(feature),
      get running() {
        return isRunning();
      },
      configChanged: () => this.configChanged(),
      fail: (reason) => this.fail(reason),
      event: (event) => context.event(event),
      wake: () => context.wake(),
      monotonic: () => context.monotonic(),
      stop: (kind) => context.stop(kind),
      rearm: () => context.rearm(),
    };
  }

  /** DRIVER_OK: what was made available, and notified of, before it is found now. */
  #start(): void {
    for (const words of this.#words) {
      if (words[ENABLED] !== 0) startQueue(words);
    }
    this.device.started?.();
    this.connect();
    for (const queue of this.#queues) {
      if (queue.waiting > 0) this.notify(queue.index);
    }
  }

  #stopQueues(): void {
    for (const words of this.#words) stopQueue(words);
  }

  /** Ends a reset, unless requests are still in flight. */
  #finishReset(): boolean {
    if ((this.device.inFlight?.() ?? 0) > 0) return false;
    const s = this.state;
    s.status = 0;
    s.device_feature_select = 0;
    s.driver_feature_select = 0;
    s.driver_features_low = 0;
    s.driver_features_high = 0;
    s.driver_features_beyond = 0;
    s.queue_select = 0;
    s.config_vector = NO_VECTOR;
    this.selected.reset();
    if (s.isr !== 0) {
      s.isr = 0;
      this.#bus.lowerInterrupt();
    }
    this.device.reset();
    s.resetting = 0;
    this.#context.progress();
    return true;
  }

  #forEnabled(work: (queue: number) => void): void {
    for (const queue of this.attended) {
      if (this.#words[queue]![ENABLED] !== 0) work(queue);
    }
  }
}

const ENABLED = VirtqueueState.offsets.enabled / 4;

function queueSizes(type: VirtioDeviceType, config: unknown): readonly number[] {
  const sizes = type.queues(config);
  if (sizes.length <= MOST_QUEUES) return sizes;
  throw new RangeError(`A virtio device has ${sizes.length} queues, more than ${MOST_QUEUES}`);
}
