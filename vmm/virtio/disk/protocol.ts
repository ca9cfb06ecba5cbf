/**
 * The block device's numbers (virtio 1.2 §5.2).
 *
 * @module
 */

/** Feature bits (§5.2.3). */
export const BlkFeature = {
  /** No longer offered. */
  SIZE_MAX: 1,
  SEG_MAX: 2,
  RO: 5,
  BLK_SIZE: 6,
  FLUSH: 9,
  TOPOLOGY: 10,
  CONFIG_WCE: 11,
  MQ: 12,
  DISCARD: 13,
  WRITE_ZEROES: 14,
} as const;

/** Request types (§5.2.6). */
export const BlkType = {
  IN: 0,
  OUT: 1,
  FLUSH: 4,
  GET_ID: 8,
  DISCARD: 11,
  WRITE_ZEROES: 13,
} as const;

/** Request statuses. */
export const BlkStatus = { OK: 0, IOERR: 1, UNSUPP: 2 } as const;

/** Bytes of a sector, the unit of all addresses. */
export const SECTOR = 512;
/** Bytes of `struct virtio_blk_req` before its data: type, reserved, sector. */
export const HEADER_BYTES = 16;
/** Bytes of a serial number. */
export const ID_BYTES = 20;
/** Bytes of `struct virtio_blk_discard_write_zeroes`: sector, num_sectors, flags. */
export const SEGMENT_BYTES = 16;
/** The flag of such a segment. */
export const SEGMENT_UNMAP = 1;

/** Segments of one discard or write zeroes request. */
export const MOST_SEGMENTS = 8;
/** Sectors of such a segment: 2 GiB and, since it may come down to writing, 8 MiB. */
export const MOST_DISCARD_SECTORS = 2 ** 22;
export const MOST_ZEROES_SECTORS = 2 ** 14;

/** Descriptors of a queue. */
export const QUEUE_SIZE = 256;
/** Data descriptors of one request: the queue's less header and status. */
export const SEG_MAX = QUEUE_SIZE - 2;
/** Bytes of one of them, for drivers that chose SIZE_MAX while it was offered. */
export const SIZE_MAX = 2 ** 18;
/** Bytes of one request's data, however many descriptors it has: so a turn of the I/O thread is bounded. */
export const MOST_BYTES = SEG_MAX * SIZE_MAX;
