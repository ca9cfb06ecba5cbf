/**
 * What a disk keeps in the arena, for all threads.
 *
 * @module
 */
import { addr64, type Struct, struct, u32, u8 } from "../../../ffi/struct.ts";
import { BlkType } from "./protocol.ts";

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

/**
 * Counts a request that succeeded.
 *
 * @param state The disk's
 * @param type What it was
 * @param length Bytes of data
 */
export function countRequest(state: Struct<typeof DiskState>, type: number, length: number): void {
  switch (type) {
    case BlkType.IN:
      state.reads++;
      state.bytes_read += length;
      break;
    case BlkType.OUT:
      state.writes++;
      state.bytes_written += length;
      break;
    case BlkType.FLUSH:
      state.flushes++;
      break;
    case BlkType.DISCARD:
      state.discards++;
      break;
    case BlkType.WRITE_ZEROES:
      state.write_zeroes++;
      break;
  }
}
