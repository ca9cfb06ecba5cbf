/**
 * Device deadlines, kept by the main thread's event loop.
 *
 * @module
 */
import { monotonicMilliseconds } from "../ffi/clock.ts";
import type { DeviceSet } from "./device_set.ts";

/** setTimeout's own limit; a later deadline is looked at again then. */
const MAX_DELAY = 2 ** 31 - 1;

/** Calls each device's `expire` at its deadline, once the machine has been started: held at first. */
export class DeviceTimers {
  readonly #set: DeviceSet;
  readonly #failed: (error: unknown) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = Infinity;
  /** How many hold them, and since when somebody does. */
  #holds = 1;
  #since = monotonicMilliseconds();

  /**
   * @param set The devices of this thread
   * @param failed Told of what a device's code throws while nobody else is on the stack
   */
  constructor(set: DeviceSet, failed: (error: unknown) => void) {
    this.#set = set;
    this.#failed = failed;
  }

  /**
   * Has no deadline come while the machine stands still; each of these calls wants its
   * {@linkcode letGo}, and so does the machine's start.
   */
  hold(): void {
    if (this.#holds++ > 0) return;
    this.clear();
    this.#since = monotonicMilliseconds();
  }

  /** The machine starts anew while it stands still: its devices' times count from now on. */
  startAnew(): void {
    this.#since = monotonicMilliseconds();
  }

  /** Undoes {@linkcode hold}; devices are told how long it was. */
  letGo(): void {
    if (--this.#holds > 0) return;
    const milliseconds = monotonicMilliseconds() - this.#since;
    try {
      for (const open of this.#set.devices) {
        this.#set.locked(open, (device) => device.stood?.(milliseconds));
      }
      this.arm();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Looks at the deadlines again; cheap when none has changed. */
  arm(): void {
    if (this.#holds > 0) return;
    let due = Infinity;
    for (const open of this.#set.devices) {
      if (open.device.deadline === undefined) continue;
      const wanted = this.#set.locked(open, (device) => device.deadline!());
      if (wanted < due) due = wanted; // a device that gives NaN wants none
    }
    if (due === this.#due) return;
    this.clear();
    if (due === Infinity) return;
    this.#due = due;
    const delay = Math.min(Math.max(0, due - monotonicMilliseconds()), MAX_DELAY);
    this.#timer = setTimeout(() => {
      this.#due = Infinity;
      try {
        this.#expire();
        this.arm();
      } catch (error) {
        this.#failed(error);
      }
    }, delay);
  }

  /** Forgets them all. */
  clear(): void {
    // Deno loads its timers on first use, which takes longer than a small VM lives.
    if (this.#due !== Infinity) clearTimeout(this.#timer);
    this.#due = Infinity;
  }

  #expire(): void {
    const now = monotonicMilliseconds();
    for (const open of this.#set.devices) {
      if (open.device.deadline === undefined) continue;
      this.#set.locked(open, (device) => {
        if (device.deadline!() <= now) device.expire?.();
      });
    }
  }
}
