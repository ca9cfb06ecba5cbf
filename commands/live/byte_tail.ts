/**
 * The end of a stream of bytes, with each byte's place in the whole stream.
 *
 * @module
 */
const FIRST_BYTES = 4096;

/** Keeps the last bytes of what passes, up to a bound. */
export class ByteTail {
  readonly #most: number;
  #ring = new Uint8Array(0);
  #end = 0;

  /**
   * @param most How many bytes to keep, a power of two from 4096 on
   */
  constructor(most: number) {
    this.#most = most;
  }

  /** How many bytes have passed. */
  get end(): number {
    return this.#end;
  }

  /** The place of the first byte that is kept. */
  get start(): number {
    return Math.max(0, this.#end - this.#ring.length);
  }

  /**
   * Takes the next bytes.
   *
   * @param bytes The bytes; they are copied
   */
  push(bytes: Uint8Array): void {
    this.#grow(bytes.length);
    const size = this.#ring.length;
    const kept = bytes.subarray(Math.max(0, bytes.length - size));
    const at = (this.#end + bytes.length - kept.length) % size;
    const first = kept.subarray(0, size - at);
    this.#ring.set(first, at);
    this.#ring.set(kept.subarray(first.length), 0);
    this.#end += bytes.length;
  }

  /**
   * What is kept from a place on.
   *
   * @param from The place; what is kept no more is left out
   * @returns A copy
   */
  since(from: number): Uint8Array<ArrayBuffer> {
    const size = this.#ring.length;
    const start = Math.min(Math.max(from, this.start), this.#end);
    const bytes = new Uint8Array(this.#end - start);
    if (bytes.length === 0) return bytes;
    const at = start % size;
    const first = this.#ring.subarray(at, Math.min(size, at + bytes.length));
    bytes.set(first);
    bytes.set(this.#ring.subarray(0, bytes.length - first.length), first.length);
    return bytes;
  }

  /** Most consoles say little: room is made as it is needed, while all that passed is still there. */
  #grow(more: number): void {
    const size = this.#ring.length;
    if (size === this.#most || this.#end + more <= size) return;
    let wanted = Math.max(size, FIRST_BYTES);
    while (wanted < this.#most && wanted < this.#end + more) wanted *= 2;
    const ring = new Uint8Array(wanted);
    ring.set(this.#ring.subarray(0, this.#end)); // it has not gone round yet
    this.#ring = ring;
  }
}
