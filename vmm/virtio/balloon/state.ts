/**
 * What of a memory balloon lies in the arena: its configuration space and counters (virtio 1.2
 * §5.5.4), and what the guest last said of its memory (§5.5.6.3).
 *
 * @module
 */
import { addr64, array, f64, type Struct, struct, u32 } from "../../../ffi/struct.ts";

/**
 * The guest's figures by their tags (`VIRTIO_BALLOON_S_*`): bytes, or counts since the guest's start.
 */
export const GUEST_FIGURES = [
  "swap_in",
  "swap_out",
  "major_faults",
  "minor_faults",
  "free_memory",
  "total_memory",
  "available_memory",
  "disk_caches",
  "hugetlb_allocations",
  "hugetlb_failures",
  "oom_kills",
  "alloc_stalls",
  "async_scans",
  "direct_scans",
  "async_reclaims",
  "direct_reclaims",
] as const;

/** The layout. */
export const BalloonState = struct("balloon", {
  /** Whether the fields that the host sets have got their first values. */
  initialised: u32,
  /** Pages that the guest is to give up: set by the host. */
  num_pages: u32,
  /** Pages that the guest says it has given up: any number. */
  actual: u32,
  /** What the guest fills its free pages with. */
  poison_val: u32,
  /** A bit for each of `figures` that the guest has given. */
  figures_known: u32,
  figures: array(f64, GUEST_FIGURES.length),
  /** Pages that the guest has given and taken. */
  inflated: addr64,
  deflated: addr64,
  /** Free memory that the guest has reported, and what the host has got back of all, in bytes. */
  reported: addr64,
  released: addr64,
  /** Pages that the guest gave and doesn't have, and ranges that the host could not take. */
  invalid: addr64,
  failed: addr64,
});

/** The device's state. */
export type BalloonRegisters = Struct<typeof BalloonState>;
