/**
 * Finds frames in a stream of lengths and frames.
 *
 * @module
 */
import { MAX_FRAME, MIN_FRAME } from "./net_backend.ts";

const LENGTH_BYTES = 4;
/** Some of the longest frames, so that a read brings more than one. */
const CAPACITY = 4 * (LENGTH_BYTES + MAX_FRAME);

/** A buffer between a stream and whoever wants its frames. */
export class FrameSplitter {
  readonly #bytes = new Uint8Array(CAPACITY);
  readonly #view = new DataView(this.#bytes.buffer);
  #start = 0;
  #end = 0;
  #announced = 0;

  /** The length that the stream gave for the frame that it is at. */
  get announced(): number {
    return this.#announced;
  }

  /** Whether the stream has announced a frame that is too long; nothing can be found behind it. */
  get broken(): boolean {
    return this.#announced > MAX_FRAME;
  }

  /**
   * Takes the next frame; those too short to be one are left out.
   *
   * @returns A view of it until {@linkcode room} is called, or undefined if it has not come whole
   */
  next(): Uint8Array | undefined {
    while (this.#end - this.#start >= LENGTH_BYTES) {
      const length = this.#announced = this.#view.getUint32(this.#start);
      const from = this.#start + LENGTH_BYTES;
      if (length > MAX_FRAME || length > this.#end - from) return undefined;
      this.#start = from + length;
      if (length >= MIN_FRAME) return this.#bytes.subarray(from, from + length);
    }
    return undefined;
  }

  /**
   * Makes room for more of the stream, at least for the rest of the frame that it is at.
   *
   * @returns Where to put it; say {@linkcode filled} then
   */
  room(): Uint8Array<ArrayBuffer> {
    if (this.#start > 0) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    return this.#bytes.subarray(this.#end);
  }

  /**
   * Says how much of the room has been filled.
   *
   * @param count Bytes
   */
  filled(count: number): void {
    this.#end += count;
  }
}
