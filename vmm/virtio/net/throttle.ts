/**
 * A rate limit with its timer: work that may not go on is done when it may.
 *
 * @module
 */
import type { IoLoop, IoTimer } from "../../io_loop.ts";
import { RateLimit, type RateLimitConfig } from "../rate_limit.ts";

/** One direction's limit on the I/O thread; without a limit it lets everything through. */
export class Throttle {
  readonly #limit: RateLimit | undefined;
  readonly #timer: IoTimer | undefined;
  readonly #now: () => number;

  /**
   * @param config The limit, if there is one
   * @param loop The I/O thread's loop
   * @param now Milliseconds of the monotonic clock
   * @param work What to do when it may go on
   */
  constructor(
    config: RateLimitConfig | undefined,
    loop: IoLoop,
    now: () => number,
    work: () => void,
  ) {
    this.#now = now;
    if (config === undefined) return;
    this.#limit = new RateLimit(config, now());
    this.#timer = loop.timer(work);
  }

  /** Whether the next frame may go; if not, the work is done when it may. */
  get open(): boolean {
    if (this.#limit === undefined) return true;
    const now = this.#now();
    const at = this.#limit.readyAt(now);
    if (at <= now) return true;
    this.#timer!.at(at);
    return false;
  }

  /**
   * Counts a frame.
   *
   * @param bytes Its length
   */
  charge(bytes: number): void {
    this.#limit?.charge(bytes);
  }
}
