/**
 * A frame of the guest as iovecs: a header of the host's, and the frame where it lies in guest
 * memory.
 *
 * @module
 */
import { addressOf } from "../../../ffi/address_of.ts";
import type { Chain } from "../../virtio/virtio_device.ts";
import { HEADER_BYTES } from "./net_backend.ts";

/** As many as one call takes (IOV_MAX). */
export const MOST_IOVECS = 1024;
/** 32-bit words of a `struct iovec`. */
export const IOVEC_WORDS = 4;
/** V8 keeps small buffers in its heap, where they move; this one never does. */
const STORAGE_BYTES = 128;

/**
 * Writes one `struct iovec`.
 *
 * @param iovecs Where to
 * @param index Which entry
 * @param address The process's address
 * @param length Bytes
 */
export function setIovec(
  iovecs: Uint32Array,
  index: number,
  address: number,
  length: number,
): void {
  const at = index * IOVEC_WORDS;
  iovecs[at] = address % 2 ** 32;
  iovecs[at + 1] = Math.floor(address / 2 ** 32);
  iovecs[at + 2] = length;
  iovecs[at + 3] = 0;
}

/** The iovecs of one frame after the other. */
export class FrameIovecs {
  readonly #iovecs: Uint32Array<ArrayBuffer>;
  readonly #header: Uint8Array<ArrayBuffer>;

  /**
   * @param headerBytes How long the host's header is, at most 128
   * @param iovecs Where the entries go: {@linkcode MOST_IOVECS}
   */
  constructor(headerBytes: number, iovecs: Uint32Array<ArrayBuffer>) {
    const storage = new Uint8Array(STORAGE_BYTES);
    this.#iovecs = iovecs;
    this.#header = storage.subarray(0, headerBytes);
    setIovec(iovecs, 0, addressOf(storage), headerBytes);
  }

  /**
   * Describes a frame.
   *
   * @param header The host's header, copied
   * @param chain The guest's buffer, with the frame from byte {@linkcode HEADER_BYTES} on
   * @param length Bytes of the frame
   * @returns How many entries there are, or -1 if the frame has more pieces than one call takes
   */
  set(header: Uint8Array, chain: Chain, length: number): number {
    if (chain.readableCount >= MOST_IOVECS) return -1;
    this.#header.set(header);
    return 1 + chain.readableIovecs(HEADER_BYTES, length, this.#iovecs, 1);
  }
}
