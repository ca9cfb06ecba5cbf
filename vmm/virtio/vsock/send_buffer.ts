/**
 * Bytes that a guest has sent and the host's socket does not take yet: a ring, no longer than the
 * credit that the guest was granted.
 *
 * @module
 */
import { addressOf } from "../../../ffi/address_of.ts";
import { Errno } from "../../../ffi/errno.ts";
import type { SocketVectors } from "../../../ffi/stream_socket.ts";
import type { Chain } from "../virtio_device.ts";

/** A ring of bytes on their way to a socket. */
export class SendBuffer {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #address: number;
  #head = 0;
  #count = 0;

  /**
   * @param capacity Bytes that it holds at most
   */
  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
    this.#address = addressOf(this.#bytes);
  }

  /** How many bytes wait. */
  get length(): number {
    return this.#count;
  }

  /**
   * Takes bytes of a chain; the caller has seen to it that they fit.
   *
   * @param chain The chain
   * @param offset Bytes from the start of its readable part
   * @param length How many
   */
  append(chain: Chain, offset: number, length: number): void {
    const capacity = this.#bytes.length;
    if (length > capacity - this.#count) throw new RangeError("More bytes than the buffer holds");
    const tail = (this.#head + this.#count) % capacity;
    const first = Math.min(length, capacity - tail);
    chain.read(offset, this.#bytes.subarray(tail, tail + first));
    if (first < length) chain.read(offset + first, this.#bytes.subarray(0, length - first));
    this.#count += length;
  }

  /**
   * Sends as much as a socket takes.
   *
   * @param fd The socket
   * @param vectors Where to put the entries that say it
   * @returns How many bytes it took, or a negative error number other than EAGAIN
   */
  flush(fd: number, vectors: SocketVectors): number {
    let total = 0;
    while (this.#count > 0) {
      const capacity = this.#bytes.length;
      const first = Math.min(this.#count, capacity - this.#head);
      vectors.set(0, this.#address + this.#head, first);
      vectors.set(1, this.#address, this.#count - first);
      const sent = vectors.send(fd, first < this.#count ? 2 : 1);
      if (sent === -Errno.EAGAIN) break;
      if (sent < 0) return sent;
      this.#head = (this.#head + sent) % capacity;
      this.#count -= sent;
      total += sent;
    }
    return total;
  }
}
