/**
 * The I/O thread's loop as a virtio device is given it: what the device throws at its driver stops
 * at the device.
 *
 * @module
 */
import type { IoLoop, IoTimer } from "../io_loop.ts";

/** Passes everything on, with each callback inside of a guard. */
export class GuardedLoop implements IoLoop {
  readonly #loop: IoLoop;
  readonly #guard: (work: () => void) => void;

  /**
   * @param loop The I/O thread's
   * @param guard What calls the device
   */
  constructor(loop: IoLoop, guard: (work: () => void) => void) {
    this.#loop = loop;
    this.#guard = guard;
  }

  watch(fd: number, events: number, ready: (events: number) => void): void {
    let came = 0;
    const work = () => ready(came);
    this.#loop.watch(fd, events, (now) => {
      came = now;
      this.#guard(work);
    });
  }

  change(fd: number, events: number): void {
    this.#loop.change(fd, events);
  }

  unwatch(fd: number): void {
    this.#loop.unwatch(fd);
  }

  later(work: () => void): void {
    this.#loop.later(() => this.#guard(work));
  }

  timer(work: () => void): IoTimer {
    return this.#loop.timer(() => this.#guard(work));
  }
}
