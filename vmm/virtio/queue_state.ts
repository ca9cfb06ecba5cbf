/**
 * A split virtqueue's state in the arena: what the driver has set up, and how far its rings are
 * worked. Any thread that holds the device's lock goes on from there.
 *
 * @module
 */
import { struct, u32 } from "../../ffi/struct.ts";

/** The largest queue (§2.7): indices are 16 bits and wrap. */
export const MOST_QUEUE_SIZE = 32768;

/** Whether a queue is worked: enabled, DRIVER_OK, no reset needed; held while its machine is frozen. */
export const Live = { NO: 0, WORKED: 1, HELD: 2 } as const;

/** One queue. Addresses are guest-physical, as written, in halves. */
export const VirtqueueState = struct("virtqueue", {
  /** Descriptors. */
  size: u32,
  /** Whether the driver has enabled it. */
  enabled: u32,
  /** A {@linkcode Live}. */
  live: u32,
  /** Moves on whenever the rings are set up or taken away: what was cached of them is void. */
  epoch: u32,
  /** Descriptor table. */
  desc_low: u32,
  desc_high: u32,
  /** Available ring. */
  driver_low: u32,
  driver_high: u32,
  /** Used ring. */
  device_low: u32,
  device_high: u32,
  /** Its MSI-X vector, or 0xffff. */
  vector: u32,
  /** Index in the available ring of the next chain to pop. */
  last_avail_idx: u32,
  /** The available ring's index when it was looked at last. */
  seen_avail_idx: u32,
  /** Index in the used ring where the next chain is pushed. */
  next_used_idx: u32,
  /** Chains pushed since the driver was interrupted last, or could have been. */
  unsignalled: u32,
  /** 1 while the device wants no notifications. */
  no_notify: u32,
  /** What the driver was told last as avail_event; none yet above 0xffff. */
  avail_event: u32,
});

/**
 * How long the rings of a queue are (§2.7).
 *
 * @param size Descriptors
 * @returns Bytes of descriptor table, available ring and used ring
 */
export function ringSizes(size: number): { desc: number; driver: number; device: number } {
  return { desc: 16 * size, driver: 6 + 2 * size, device: 6 + 8 * size };
}

/**
 * Index of a field in 32-bit words: queues are worked through an Int32Array.
 *
 * @param field Its name
 * @returns Words from the state's start
 */
export function queueWord(field: keyof typeof VirtqueueState.offsets): number {
  return VirtqueueState.offsets[field] / 4;
}

/** What `avail_event` is before the driver was told any. */
const NEVER_TOLD = 0x1_0000;

/**
 * Sets a queue going over rings that the driver has placed.
 *
 * @param words Its {@linkcode VirtqueueState} as words
 */
export function startQueue(words: Int32Array): void {
  words[queueWord("epoch")] = (words[queueWord("epoch")]! + 1) & 0x7fff_ffff;
  words[queueWord("last_avail_idx")] = 0;
  words[queueWord("seen_avail_idx")] = 0;
  words[queueWord("next_used_idx")] = 0;
  words[queueWord("unsignalled")] = 0;
  words[queueWord("no_notify")] = 0;
  words[queueWord("avail_event")] = NEVER_TOLD;
  words[queueWord("live")] = Live.WORKED;
}

/**
 * Sets a queue going where another device like this one had got.
 *
 * @param words Its {@linkcode VirtqueueState} as words
 * @param live Whether the device runs
 */
export function resumeQueue(words: Int32Array, live: boolean): void {
  words[queueWord("epoch")] = (words[queueWord("epoch")]! + 1) & 0x7fff_ffff;
  words[queueWord("seen_avail_idx")] = words[queueWord("last_avail_idx")]!;
  words[queueWord("live")] = live ? Live.WORKED : Live.NO;
}

/**
 * Stops a queue: nothing is popped any more, what was popped is dropped when it is pushed.
 *
 * @param words Its {@linkcode VirtqueueState} as words
 */
export function stopQueue(words: Int32Array): void {
  words[queueWord("live")] = Live.NO;
  words[queueWord("epoch")] = (words[queueWord("epoch")]! + 1) & 0x7fff_ffff;
}

/**
 * Has a queue that is worked look empty, while what was popped before can still be pushed.
 *
 * @param words Its {@linkcode VirtqueueState} as words
 */
export function holdQueue(words: Int32Array): void {
  if (words[queueWord("live")] === Live.WORKED) words[queueWord("live")] = Live.HELD;
}

/**
 * Undoes {@linkcode holdQueue}; whoever works the queue has to look at it then.
 *
 * @param words Its {@linkcode VirtqueueState} as words
 * @returns Whether it is worked now
 */
export function letQueueGo(words: Int32Array): boolean {
  if (words[queueWord("live")] === Live.HELD) words[queueWord("live")] = Live.WORKED;
  return words[queueWord("live")] === Live.WORKED;
}
