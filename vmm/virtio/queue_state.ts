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

const LIVE = queueWord("live");
const EPOCH = queueWord("epoch");
const LAST_AVAIL = queueWord("last_avail_idx");
const SEEN_AVAIL = queueWord("seen_avail_idx");
const NEXT_USED = queueWord("next_used_idx");
const UNSIGNALLED = queueWord("unsignalled");
const NO_NOTIFY = queueWord("no_notify");
const AVAIL_EVENT = queueWord("avail_event");
/** What `avail_event` is before the driver was told any. */
const NEVER_TOLD = 0x1_0000;

/**
 * Sets a queue going over rings that the driver has placed.
 *
 * @param words Its {@linkcode VirtqueueState} as words
 */
export function startQueue(words: Int32Array): void {
  words[EPOCH] = (words[EPOCH]! + 1) & 0x7fff_ffff;
  words[LAST_AVAIL] = 0;
  words[SEEN_AVAIL] = 0;
  words[NEXT_USED] = 0;
  words[UNSIGNALLED] = 0;
  words[NO_NOTIFY] = 0;
  words[AVAIL_EVENT] = NEVER_TOLD;
  words[LIVE] = Live.WORKED;
}

/**
 * Sets a queue going where another device like this one had got.
 *
 * @param words Its {@linkcode VirtqueueState} as words
 * @param live Whether the device runs
 */
export function resumeQueue(words: Int32Array, live: boolean): void {
  words[EPOCH] = (words[EPOCH]! + 1) & 0x7fff_ffff;
  words[SEEN_AVAIL] = words[LAST_AVAIL]!;
  words[LIVE] = live ? Live.WORKED : Live.NO;
}

/**
 * Stops a queue: nothing is popped any more, what was popped is dropped when it is pushed.
 *
 * @param words Its {@linkcode VirtqueueState} as words
 */
export function stopQueue(words: Int32Array): void {
  words[LIVE] = Live.NO;
  words[EPOCH] = (words[EPOCH]! + 1) & 0x7fff_ffff;
}

/**
 * Has a queue that is worked look empty, while what was popped before can still be pushed.
 *
 * @param words Its {@linkcode VirtqueueState} as words
 */
export function holdQueue(words: Int32Array): void {
  if (words[LIVE] === Live.WORKED) words[LIVE] = Live.HELD;
}

/**
 * Undoes {@linkcode holdQueue}; whoever works the queue has to look at it then.
 *
 * @param words Its {@linkcode VirtqueueState} as words
 * @returns Whether it is worked now
 */
export function letQueueGo(words: Int32Array): boolean {
  if (words[LIVE] === Live.HELD) words[LIVE] = Live.WORKED;
  return words[LIVE] === Live.WORKED;
}
