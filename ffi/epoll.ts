/**
 * epoll and timerfd: one place to wait for descriptors and deadlines.
 *
 * @module
 */
import { HostError } from "./errors.ts";
import { Errno } from "./errno.ts";
import { check, errno, libc } from "./libc.ts";

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
/** `struct epoll_event` is packed on x86-64: u32 events, u64 data. */
const EVENT_BYTES = 12;
const TIMER_FLAGS = 0o2000000 | 0o4000;
const CLOCK_MONOTONIC = 1;
const EMPTY = new Uint8Array(0);

/** What to wait for. */
export const EpollEvent = {
  IN: 1,
  OUT: 4,
  ERR: 8,
  HUP: 16,
  EDGE: 2 ** 31,
} as const;

/** An epoll instance. */
export class Epoll implements Disposable {
  /** Its descriptor. */
  readonly fd: number;
  readonly #events: DataView<ArrayBuffer>;
  readonly #change = new DataView(new ArrayBuffer(EVENT_BYTES));

  /**
   * @param most How many events one wait gives at most
   * @throws {HostError} If the process has no descriptor left
   */
  constructor(most = 64) {
    this.fd = check(libc.epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    this.#events = new DataView(new ArrayBuffer(EVENT_BYTES * most));
  }

  /**
   * Watches a descriptor.
   *
   * @param fd The descriptor
   * @param events {@linkcode EpollEvent}s, added up
   * @throws {HostError} If it cannot be watched
   */
  add(fd: number, events: number): void {
    this.#control(EPOLL_CTL_ADD, fd, events);
  }

  /**
   * Watches a descriptor for other events.
   *
   * @param fd A descriptor that is watched
   * @param events {@linkcode EpollEvent}s, added up; 0 for errors and hang-ups only
   * @throws {HostError} If it was not watched
   */
  change(fd: number, events: number): void {
    this.#control(EPOLL_CTL_MOD, fd, events);
  }

  /**
   * Watches a descriptor no more.
   *
   * @param fd The descriptor
   * @throws {HostError} If it was not watched
   */
  remove(fd: number): void {
    check(libc.epoll_ctl(this.fd, EPOLL_CTL_DEL, fd, EMPTY), "epoll_ctl");
  }

  /**
   * Waits, blocking the thread.
   *
   * @param milliseconds At most this long; -1 for ever
   * @param ready Called with each descriptor that has something and its events
   * @returns How many there were; 0 after the time or a signal
   * @throws {HostError} If the wait fails
   */
  wait(milliseconds: number, ready: (fd: number, events: number) => void): number {
    const most = this.#events.byteLength / EVENT_BYTES;
    const count = libc.epoll_wait(this.fd, this.#events, most, milliseconds);
    if (count < 0) {
      const code = errno();
      if (code === Errno.EINTR) return 0;
      throw new HostError("epoll_wait", code);
    }
    for (let i = 0; i < count; i++) {
      const at = i * EVENT_BYTES;
      ready(this.#events.getInt32(at + 4, true), this.#events.getUint32(at, true));
    }
    return count;
  }

  #control(operation: number, fd: number, events: number): void {
    const event = this.#change;
    event.setUint32(0, events >>> 0, true);
    event.setInt32(4, fd, true);
    check(libc.epoll_ctl(this.fd, operation, fd, event), "epoll_ctl");
  }

  [Symbol.dispose](): void {
    libc.close(this.fd);
  }
}

/** A timer that is a descriptor: readable when it has expired. */
export class TimerFd implements Disposable {
  /** Its descriptor. */
  readonly fd: number;
  readonly #word = new BigUint64Array(1);

  /** @throws {HostError} If the process has no descriptor left */
  constructor() {
    this.fd = check(libc.timerfd_create(CLOCK_MONOTONIC, TIMER_FLAGS), "timerfd_create");
  }

  /**
   * Sets it.
   *
   * @param milliseconds From now; 0 disarms it
   * @param interval Milliseconds between later expirations; 0 for none
   * @throws {HostError} If a time is out of range
   */
  set(milliseconds: number, interval = 0): void {
    const spec = new BigInt64Array(4);
    [interval, milliseconds].forEach((time, i) => {
      spec[2 * i] = BigInt(Math.floor(time / 1000));
      spec[2 * i + 1] = BigInt(Math.round((time % 1000) * 1e6));
    });
    check(libc.timerfd_settime(this.fd, 0, spec, EMPTY), "timerfd_settime");
  }

  /**
   * Takes the count of expirations.
   *
   * @returns How often it has expired since the last time; 0 if never
   * @throws {HostError} If the read fails
   */
  take(): number {
    if (libc.read(this.fd, this.#word, 8n) === 8n) return Number(this.#word[0]);
    const code = errno();
    if (code === Errno.EAGAIN || code === Errno.EINTR) return 0;
    throw new HostError("read", code, { path: "timerfd" });
  }

  [Symbol.dispose](): void {
    libc.close(this.fd);
  }
}
