/**
 * eventfd: a counter that one side adds to and the other reads, KVM's ioeventfd and irqfd among them.
 *
 * @module
 */
import { HostError } from "./errors.ts";
import { Errno } from "./errno.ts";
import { check, errno, libc } from "./libc.ts";

const EFD_CLOEXEC_NONBLOCK = 0o2000000 | 0o4000;

/** A non-blocking eventfd. */
export class EventFd implements Disposable {
  /** Its descriptor. */
  readonly fd: number;
  readonly #word = new BigUint64Array(1);

  /** @throws {HostError} If the process has no descriptor left */
  constructor() {
    this.fd = check(libc.eventfd(0, EFD_CLOEXEC_NONBLOCK), "eventfd");
  }

  /** Adds 1: wakes the reader. */
  signal(): void {
    this.#word[0] = 1n;
    check(libc.write(this.fd, this.#word, 8n), "write", { path: "eventfd" });
  }

  /**
   * Takes the count and sets it to 0.
   *
   * @returns How often it was signalled since the last time; 0 if never
   * @throws {HostError} If the read fails
   */
  take(): number {
    if (libc.read(this.fd, this.#word, 8n) === 8n) return Number(this.#word[0]);
    const code = errno();
    if (code === Errno.EAGAIN || code === Errno.EINTR) return 0;
    throw new HostError("read", code, { path: "eventfd" });
  }

  [Symbol.dispose](): void {
    libc.close(this.fd);
  }
}
