/**
 * One look at where a vCPU stands, as its thread records it:
 *
 *     byte  0  double  nanoseconds of CLOCK_MONOTONIC
 *     byte  8  u32     a {@linkcode SampleMode}
 *     byte 12  u32     how many frames
 *     byte 16  u64     CR3
 *     byte 24  u64     each frame's linear address, the innermost first
 *
 * @module
 */
import { MOST_FRAMES } from "./call_chain.ts";

/** Byte offsets in a sample. */
export const SampleOffset = { TIME: 0, MODE: 8, COUNT: 12, CR3: 16, FRAMES: 24 } as const;
/** Bytes of a sample. */
export const SAMPLE_BYTES: number = SampleOffset.FRAMES + 8 * MOST_FRAMES;
/** What a vCPU does. */
export const SampleMode = { KERNEL: 0, USER: 1, IDLE: 2 } as const;
