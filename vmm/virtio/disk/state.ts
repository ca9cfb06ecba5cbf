/**
 * What a disk keeps in the arena, for all threads.
 *
 * @module
 */
import { addr64, struct, u32, u8 } from "../../../ffi/struct.ts";

/** A disk's registers and counters. */
export const DiskState = struct("virtio_blk", {
  /** Sectors; the host may change it while the VM runs. 0 before the first reset. */
  capacity: addr64,
  /** Chains in the backend's hands. */
  in_flight: u32,
  /** What the driver wrote to `writeback`; 2 if nothing. */
  writeback: u8,
  reads: addr64,
  writes: addr64,
  flushes: addr64,
  discards: addr64,
  write_zeroes: addr64,
  bytes_read: addr64,
  bytes_written: addr64,
  /** Requests that did not succeed. */
  errors: addr64,
  /** How often a request waited for its rate. */
  limited: addr64,
  /** Whether requests are done by io_uring. */
  io_uring: u8,
});

/** `writeback` while the driver has not written it. */
export const WRITEBACK_UNTOUCHED = 2;
