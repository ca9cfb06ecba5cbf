/**
 * What stands behind a network device: takes the guest's frames and gives it others. It runs on the
 * I/O thread, under the device's lock.
 *
 * @module
 */
import type { IoLoop } from "../../io_loop.ts";
import type { Chain } from "../../virtio/virtio_device.ts";

/** Bytes of the longest Ethernet frame: 64 KiB of segmentation offload and its headers (§5.1.6.3). */
export const MAX_FRAME = 65550;
/** Bytes of an Ethernet header; a shorter frame is none. */
export const MIN_FRAME = 14;
/** Bytes of `struct virtio_net_hdr_v1`, which precedes each frame in the guest's buffers (§5.1.6). */
export const HEADER_BYTES = 12;

/** What became of a frame that was to be sent. */
export const Sent = {
  /** It has gone, or is in the backend's hands. */
  DONE: 0,
  /** There is no room; {@linkcode BackendOwner.writable} tells when there is. */
  BLOCKED: 1,
  /** The backend can't take this one. */
  FAILED: 2,
} as const;

/** Where a received frame goes: buffers of the guest. */
export interface ReceiveTarget {
  /**
   * Reads a header and a frame from a descriptor straight into the guest's buffers.
   *
   * @param fd A descriptor whose every read gives one header with its frame
   * @returns Bytes read, or what readv(2) gave: -1 with errno set, 0 at the end
   */
  readFrom(fd: number): number;
  /**
   * Copies a frame that came without a header.
   *
   * @param frame The frame
   */
  take(frame: Uint8Array): void;
}

/** Whom a backend tells. */
export interface BackendOwner {
  /** Frames may have come for a queue pair. */
  readable(pair: number): void;
  /** There may be room for frames of a queue pair again. */
  writable(pair: number): void;
  /** It had a frame for the guest and no place to keep it. */
  dropped(): void;
  /** It is at its end: nothing comes and goes any more. */
  gone(reason: string): void;
}

/** A backend on the I/O thread. */
export interface NetBackend {
  /**
   * Starts to wait for frames.
   *
   * @param loop The I/O thread's loop
   * @param owner Whom to tell
   */
  attend(loop: IoLoop, owner: BackendOwner): void;
  /**
   * Sends a frame.
   *
   * @param pair The queue pair that it came by
   * @param header Its checked header, {@linkcode HEADER_BYTES} long
   * @param chain The guest's buffer, with the frame from byte {@linkcode HEADER_BYTES} on
   * @param length Bytes of the frame
   * @returns A value of {@linkcode Sent}
   */
  send(pair: number, header: Uint8Array, chain: Chain, length: number): number;
  /**
   * Receives one frame, if there is one.
   *
   * @param pair The queue pair
   * @param target Where to
   * @returns Whether there was one
   */
  receive(pair: number, target: ReceiveTarget): boolean;
  /**
   * Says whether {@linkcode BackendOwner.readable} should be called, at first not.
   *
   * @param pair The queue pair
   * @param wanted Whether the guest has buffers
   */
  wantFrames(pair: number, wanted: boolean): void;
  /** Stops waiting, and frees what it made itself; descriptors from the configuration stay open. */
  close(): void;
}
