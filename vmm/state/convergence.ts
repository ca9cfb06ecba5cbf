/**
 * When to stop sending memory of a machine that runs: what changes meanwhile is sent in rounds, each as
 * long as the one before took to send.
 *
 * @module
 */

/** The part of the downtime that memory may take; the rest is for devices, vCPUs and the other side. */
const MEMORY_SHARE = 0.5;
/** A round that is not smaller than this part of the one before it gets nowhere. */
const SHRINKING = 0.9;
/** After so many of those there is no use in more. */
const MOST_VAIN_ROUNDS = 3;
const MOST_ROUNDS = 60;

/** What to do next: hold the machine and send the rest, or another round; or no more rounds help. */
export type NextRound = "last" | "another" | "vain";

/** The rounds of one machine. */
export class Convergence {
  readonly #downtime: number;
  #before = Infinity;
  #vain = 0;
  #rounds = 0;
  #pace = 0;

  /** @param downtime Milliseconds that the machine may stand */
  constructor(downtime: number) {
    this.#downtime = downtime;
  }

  /**
   * Takes note of what was sent. Links have bursts, and the other side may have had to start first, so that
   * the last round counts.
   *
   * @param bytes How much
   * @param milliseconds How long that took, until the other side had read it and said so
   */
  sent(bytes: number, milliseconds: number): void {
    if (bytes > 0 && milliseconds > 0) this.#pace = bytes / milliseconds;
  }

  /**
   * Estimates how long something will take.
   *
   * @param bytes How much
   * @returns Milliseconds
   */
  milliseconds(bytes: number): number {
    return bytes === 0 ? 0 : bytes / this.#pace;
  }

  /**
   * Decides what to do.
   *
   * @param left Bytes that have changed
   */
  next(left: number): NextRound {
    if (this.milliseconds(left) <= this.#downtime * MEMORY_SHARE) return "last";
    this.#vain = left >= this.#before * SHRINKING ? this.#vain + 1 : 0;
    this.#before = left;
    this.#rounds++;
    return this.#vain >= MOST_VAIN_ROUNDS || this.#rounds > MOST_ROUNDS ? "vain" : "another";
  }
}
