/**
 * The registers by which a driver sets up a queue, as both transports have them: they belong to the
 * queue that is selected, and are frozen once it is enabled or the device runs.
 *
 * @module
 */
import type { DmaMap } from "./dma.ts";
import { queueWord } from "./queue_state.ts";
import { ringProblem } from "./ring_placement.ts";
import { Status } from "./status.ts";
import type { VirtioTransport } from "./transport.ts";
import { NO_VECTOR } from "./transport_state.ts";
import { ProtocolError } from "./virtio_device.ts";

const SIZE = queueWord("size");
const ENABLED = queueWord("enabled");
const VECTOR = queueWord("vector");
const DESC_LOW = queueWord("desc_low");
const DEVICE_HIGH = queueWord("device_high");
const NOT_FOR_SET_UP = Status.DRIVER_OK | Status.DEVICE_NEEDS_RESET;

/** The registers of the selected queue. */
export class QueueRegisters {
  readonly #transport: Pick<VirtioTransport, "state" | "queueWords">;
  readonly #dma: DmaMap;
  readonly #sizes: readonly number[];

  /**
   * @param transport Whose
   * @param dma Guest memory
   * @param sizes The largest size of each queue
   */
  constructor(
    transport: Pick<VirtioTransport, "state" | "queueWords">,
    dma: DmaMap,
    sizes: readonly number[],
  ) {
    this.#transport = transport;
    this.#dma = dma;
    this.#sizes = sizes;
  }

  /** The largest size that the selected queue may be given; 0 if there is none. */
  get most(): number {
    return this.#sizes[this.#transport.state.queue_select] ?? 0;
  }

  /** Its size: the largest until the driver chooses (§4.1.4.3). */
  get size(): number {
    return this.#words()?.[SIZE] ?? 0;
  }
  set size(size: number) {
    const words = this.#open();
    if (words !== undefined) words[SIZE] = size;
  }

  /** Its vector; where an interrupt goes may be changed at any time. */
  get vector(): number {
    return this.#words()?.[VECTOR] ?? NO_VECTOR;
  }
  set vector(vector: number) {
    const words = this.#words();
    if (words !== undefined) words[VECTOR] = vector;
  }

  /** Whether it is enabled. */
  get enabled(): boolean {
    return this.#words()?.[ENABLED] === 1;
  }

  /**
   * A half of an address.
   *
   * @param half 0 to 5: descriptor table low and high, available ring, used ring
   */
  readAddress(half: number): number {
    return (this.#words()?.[DESC_LOW + half] ?? 0) >>> 0;
  }

  /** Writes a half of an address. */
  writeAddress(half: number, value: number): void {
    const words = this.#open();
    if (words !== undefined) words[DESC_LOW + half] = value;
  }

  /**
   * Enables it.
   *
   * @throws {ProtocolError} If it can't be worked as it is set up
   */
  enable(): void {
    const words = this.#open();
    if (words === undefined) return;
    const queue = this.#transport.state.queue_select;
    const problem = words[SIZE]! > this.most
      ? `its size is ${words[SIZE]}, above ${this.most}`
      : ringProblem(this.#dma, words[SIZE]!, ...this.#addresses(words));
    if (problem !== undefined) throw new ProtocolError(`Queue ${queue} was enabled: ${problem}`);
    words[ENABLED] = 1;
  }

  /**
   * Looks at a queue whose registers come from elsewhere.
   *
   * @param queue Its number
   * @throws {TypeError} If it can't be worked as it is set up
   */
  check(queue: number): void {
    const words = this.#transport.queueWords(queue);
    const size = words[SIZE]!;
    const most = this.#sizes[queue]!;
    const problem = size < 0 || size > most
      ? `its size is ${size >>> 0}, above ${most}`
      : words[ENABLED] === 0
      ? undefined
      : ringProblem(this.#dma, size, ...this.#addresses(words));
    if (problem !== undefined) throw new TypeError(`queues[${queue}]: ${problem}`);
  }

  #addresses(words: Int32Array): [desc: number, driver: number, device: number] {
    const at = (half: number) =>
      (words[DESC_LOW + half]! >>> 0) + (words[DESC_LOW + half + 1]! >>> 0) * 2 ** 32;
    return [at(0), at(2), at(4)];
  }

  /** Disables it, which a driver may only do before the device runs. */
  disable(): void {
    const words = this.#words();
    if (words !== undefined && this.#settable()) words[ENABLED] = 0;
  }

  /** Puts the registers of all queues to their power-on values. */
  reset(): void {
    for (const [queue, size] of this.#sizes.entries()) {
      const words = this.#transport.queueWords(queue);
      words[SIZE] = size;
      words[ENABLED] = 0;
      words[VECTOR] = NO_VECTOR;
      words.fill(0, DESC_LOW, DEVICE_HIGH + 1);
    }
  }

  #words(): Int32Array | undefined {
    const { queue_select } = this.#transport.state;
    return queue_select < this.#sizes.length ? this.#transport.queueWords(queue_select) : undefined;
  }

  /** The selected queue, if it may be set up now. */
  #open(): Int32Array | undefined {
    const words = this.#words();
    return words !== undefined && words[ENABLED] === 0 && this.#settable() ? words : undefined;
  }

  #settable(): boolean {
    return (this.#transport.state.status & NOT_FOR_SET_UP) === 0;
  }
}
