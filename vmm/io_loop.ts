/**
 * What an I/O thread offers to the devices that it serves: descriptors and times to wait for. All
 * that it calls runs under the lock of the device that asked for it.
 *
 * @module
 */

/** A time to wait for. */
export interface IoTimer {
  /**
   * Sets when the work is due; a later call replaces an earlier one.
   *
   * @param milliseconds On the monotonic clock that all threads share; Infinity for never
   */
  at(milliseconds: number): void;
}

/** One device's door to the I/O thread's loop. */
export interface IoLoop {
  /**
   * Has work done whenever a descriptor has something.
   *
   * @param fd The descriptor; it stays open until {@linkcode unwatch}
   * @param events {@linkcode EpollEvent}s, added up; with `EDGE` each change is told once, so that
   *   an eventfd never need be read
   * @param ready The work, which gets the events that came
   * @throws {HostError} If it cannot be watched: plain files can't, they never wait
   */
  watch(fd: number, events: number, ready: (events: number) => void): void;
  /**
   * Waits for other events of a descriptor that is watched already.
   *
   * @param fd The descriptor
   * @param events {@linkcode EpollEvent}s, added up; 0 for errors and hang-ups only
   */
  change(fd: number, events: number): void;
  /**
   * Watches a descriptor no more. Its work is not called again, not even for events that came
   * before.
   *
   * @param fd The descriptor
   */
  unwatch(fd: number): void;
  /**
   * Has work done soon, after the other devices had their turn: for a device that has more to do
   * than it should at once.
   *
   * @param work The work
   */
  later(work: () => void): void;
  /**
   * Makes a timer.
   *
   * @param work What to do when it is due
   * @returns The timer, set to never
   */
  timer(work: () => void): IoTimer;
}
