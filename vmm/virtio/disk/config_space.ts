/**
 * The block device's configuration space (virtio 1.2 §5.2.4).
 *
 * @module
 */
import { addr64, array, bytes, type Struct, struct, u16, u32, u8 } from "../../../ffi/struct.ts";
import type { OpenedDisk } from "../../backends/disk/disk_source.ts";
import {
  MOST_DISCARD_SECTORS,
  MOST_SEGMENTS,
  MOST_ZEROES_SECTORS,
  SECTOR,
  SEG_MAX,
  SIZE_MAX,
} from "./protocol.ts";

/** `struct virtio_blk_config`. */
export const VirtioBlkConfig = struct("virtio_blk_config", {
  /** Sectors. */
  capacity: addr64,
  size_max: u32,
  seg_max: u32,
  geometry: bytes(4),
  /** Bytes of a logical block. */
  blk_size: u32,
  /** Logical blocks of a physical one, as a power of two. */
  physical_block_exp: u8,
  alignment_offset: u8,
  min_io_size: u16,
  opt_io_size: u32,
  /** Whether a cache needs flushes: written by the driver if CONFIG_WCE was negotiated. */
  writeback: u8,
  unused0: u8,
  num_queues: u16,
  max_discard_sectors: u32,
  max_discard_seg: u32,
  discard_sector_alignment: u32,
  max_write_zeroes_sectors: u32,
  max_write_zeroes_seg: u32,
  write_zeroes_may_unmap: u8,
  unused1: array(u8, 3),
});

/**
 * Fills it in, but for what changes: capacity and writeback.
 *
 * @param disk What the device stands on
 * @param queues How many queues it has
 */
export function configSpace(disk: OpenedDisk, queues: number): Struct<typeof VirtioBlkConfig> {
  const config = new VirtioBlkConfig();
  config.size_max = SIZE_MAX;
  config.seg_max = SEG_MAX;
  config.blk_size = disk.blockSize;
  config.physical_block_exp = Math.log2(disk.physicalSize / disk.blockSize);
  config.min_io_size = disk.physicalSize / disk.blockSize;
  config.num_queues = queues;
  config.max_discard_sectors = MOST_DISCARD_SECTORS;
  config.max_discard_seg = MOST_SEGMENTS;
  config.discard_sector_alignment = disk.physicalSize / SECTOR;
  config.max_write_zeroes_sectors = MOST_ZEROES_SECTORS;
  config.max_write_zeroes_seg = MOST_SEGMENTS;
  config.write_zeroes_may_unmap = 1;
  return config;
}
