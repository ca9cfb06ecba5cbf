/**
 * Frames that wait for the guest's buffers: bounded, with nothing allocated after the start.
 *
 * @module
 */

/** A queue of frames. */
export class FrameQueue {
  readonly #slots: Uint8Array<ArrayBuffer>[];
  readonly #lengths: Uint32Array;
  #first = 0;
  #count = 0;

  /**
   * @param longest Bytes of the longest frame
   * @param capacity How many frames
   */
  constructor(longest: number, capacity: number) {
    const bytes = new ArrayBuffer(longest * capacity);
    this.#slots = Array.from(
      { length: capacity },
      (_, i) => new Uint8Array(bytes, i * longest, longest),
    );
    this.#lengths = new Uint32Array(capacity);
  }

  /** How many frames wait. */
  get length(): number {
    return this.#count;
  }

  /** Whether it is time to make no more. */
  get halfFull(): boolean {
    return this.#count > this.#slots.length / 2;
  }

  /**
   * Copies a frame from memory of this process.
   *
   * @param address Where it lies
   * @param length Bytes
   * @returns Whether it was taken: not if it is too long, or the queue is full
   */
  push(address: Deno.PointerObject, length: number): boolean {
    const slot = this.#slots[(this.#first + this.#count) % this.#slots.length]!;
    if (this.#count === this.#slots.length || length > slot.length) return false;
    Deno.UnsafePointerView.copyInto(address, slot.subarray(0, length));
    this.#lengths[(this.#first + this.#count) % this.#slots.length] = length;
    this.#count++;
    return true;
  }

  /**
   * Takes the first frame.
   *
   * @returns A view of it until the queue has gone round, or undefined if there is none
   */
  shift(): Uint8Array | undefined {
    if (this.#count === 0) return undefined;
    const at = this.#first;
    this.#first = (at + 1) % this.#slots.length;
    this.#count--;
    return this.#slots[at]!.subarray(0, this.#lengths[at]);
  }
}
