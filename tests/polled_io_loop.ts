/**
 * The I/O thread's loop in a test: real descriptors and a real epoll, turned by hand.
 *
 * @module
 */
import { Epoll } from "../ffi/epoll.ts";
import type { IoLoop, IoTimer } from "../vmm/io_loop.ts";

/** Turns after which a device that still finds work is taken to go round in a circle. */
const MOST_TURNS = 100_000;

/** An {@linkcode IoLoop} that runs when a test says so. */
export class PolledIoLoop implements IoLoop, Disposable {
  readonly #epoll = new Epoll();
  readonly #now: () => number;
  readonly #watched = new Map<number, (events: number) => void>();
  readonly #timers = new Set<{ due: number; work: () => void }>();
  #later: (() => void)[] = [];

  /**
   * @param now Milliseconds of the clock that timers are set by
   */
  constructor(now: () => number) {
    this.#now = now;
  }

  watch(fd: number, events: number, ready: (events: number) => void): void {
    this.#epoll.add(fd, events);
    this.#watched.set(fd, ready);
  }

  change(fd: number, events: number): void {
    this.#epoll.change(fd, events);
  }

  unwatch(fd: number): void {
    this.#epoll.remove(fd);
    this.#watched.delete(fd);
  }

  later(work: () => void): void {
    this.#later.push(work);
  }

  timer(work: () => void): IoTimer {
    const timer = { due: Infinity, work };
    this.#timers.add(timer);
    return {
      at(milliseconds) {
        timer.due = milliseconds;
      },
    };
  }

  /** The descriptors that are watched. */
  get watched(): readonly number[] {
    return [...this.#watched.keys()];
  }

  /** When the next timer is due; Infinity for never. */
  get nextTimer(): number {
    return Math.min(...[...this.#timers].map(({ due }) => due), Infinity);
  }

  /**
   * Does what there is to do, until there is nothing more.
   *
   * @param timeout How many milliseconds to wait for the first piece of work. Default 0
   * @returns How many pieces of work were done
   */
  poll(timeout = 0): number {
    let total = this.#turn(timeout);
    for (let last = total, turns = 0; last > 0; turns++) {
      if (turns === MOST_TURNS) throw new Error(`There is still work after ${MOST_TURNS} turns`);
      last = this.#turn(0);
      total += last;
    }
    return total;
  }

  #turn(timeout: number): number {
    let count = 0;
    for (const work of this.#later.splice(0)) {
      count++;
      work();
    }
    for (const timer of [...this.#timers]) {
      if (timer.due > this.#now()) continue;
      timer.due = Infinity;
      count++;
      timer.work();
    }
    this.#epoll.wait(count > 0 ? 0 : timeout, (fd, events) => {
      const ready = this.#watched.get(fd);
      if (ready === undefined) return; // it was unwatched a moment ago
      count++;
      ready(events);
    });
    return count;
  }

  [Symbol.dispose](): void {
    this.#epoll[Symbol.dispose]();
  }
}
