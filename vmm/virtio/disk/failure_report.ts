/**
 * Tells whoever watches the VM of requests that the host failed, and not of each one: a guest can make
 * very many.
 *
 * @module
 */
import { errnoName } from "../../../ffi/errno.ts";
import type { DeviceEvent } from "../../device.ts";

const INTERVAL_MILLISECONDS = 1000;

/** The failures of one device. */
export class FailureReport {
  readonly #event: (event: DeviceEvent) => void;
  #next = -Infinity;
  #count = 0;

  /**
   * @param event Takes a report
   */
  constructor(event: (event: DeviceEvent) => void) {
    this.#event = event;
  }

  /**
   * Counts a failure, and reports it with those since the last report if that was long enough ago.
   *
   * @param errno Why
   * @param now Milliseconds on the monotonic clock
   */
  add(errno: number, now: number): void {
    this.#count++;
    if (now < this.#next) return;
    const { code, text } = errnoName(errno);
    const count = this.#count;
    this.#event({
      kind: "error",
      message: `${count === 1 ? "a request" : `${count} requests`} failed: ${text} (${code})`,
      code,
      count,
    });
    this.#count = 0;
    this.#next = now + INTERVAL_MILLISECONDS;
  }
}
