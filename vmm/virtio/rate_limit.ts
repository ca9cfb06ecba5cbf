/**
 * A device's rate limit: token buckets for bytes and operations a second.
 *
 * A request may start as soon as no bucket is in debt, and then takes what it costs, so one that is
 * larger than a bucket is only followed by a longer pause. What an idle device may save up is bounded
 * by the burst.
 *
 * @module
 */
import * as v from "valibot";

const rate = v.pipe(v.number(), v.finite(), v.minValue(1));

/** The schema of `limit` in a device's entry. */
export const RateLimitSchema = v.looseObject({
  /** Bytes a second. */
  bytes: v.optional(rate),
  /** Operations (requests, packets) a second. */
  operations: v.optional(rate),
  /** For how many seconds of silence the allowance is kept, 0.001 to 3600. Default 0.1. */
  burst: v.optional(v.pipe(v.number(), v.minValue(0.001), v.maxValue(3600))),
});

/** `limit` in a device's entry. */
export type RateLimitConfig = v.InferOutput<typeof RateLimitSchema>;

const DEFAULT_BURST_SECONDS = 0.1;

/** The buckets of one device, or of one direction of it; for one thread. */
export class RateLimit {
  readonly #bytes: Bucket | undefined;
  readonly #operations: Bucket | undefined;

  /**
   * @param config The limits; what is left out is not limited
   * @param now Milliseconds on a monotonic clock
   */
  constructor(config: RateLimitConfig, now: number) {
    const burst = config.burst ?? DEFAULT_BURST_SECONDS;
    if (config.bytes !== undefined) this.#bytes = new Bucket(config.bytes, burst, now);
    if (config.operations !== undefined) {
      this.#operations = new Bucket(config.operations, burst, now);
    }
  }

  /**
   * When the next request may start.
   *
   * @param now Milliseconds on the same clock
   * @returns That time; at most `now` if it may at once
   */
  readyAt(now: number): number {
    const bytes = this.#bytes === undefined ? now : this.#bytes.readyAt(now);
    const operations = this.#operations === undefined ? now : this.#operations.readyAt(now);
    return Math.max(bytes, operations);
  }

  /**
   * Takes what a request costs.
   *
   * @param bytes Bytes that it moves
   * @param operations Requests that it is
   */
  charge(bytes: number, operations = 1): void {
    this.#bytes?.take(bytes);
    this.#operations?.take(operations);
  }
}

class Bucket {
  readonly #perMillisecond: number;
  readonly #most: number;
  #tokens: number;
  #filled: number;

  constructor(perSecond: number, burst: number, now: number) {
    this.#perMillisecond = perSecond / 1000;
    this.#most = perSecond * burst;
    this.#tokens = this.#most;
    this.#filled = now;
  }

  readyAt(now: number): number {
    const saved = this.#tokens + (now - this.#filled) * this.#perMillisecond;
    this.#tokens = Math.min(this.#most, saved);
    this.#filled = now;
    return this.#tokens >= 0 ? now : now - this.#tokens / this.#perMillisecond;
  }

  take(amount: number): void {
    this.#tokens -= amount;
  }
}
