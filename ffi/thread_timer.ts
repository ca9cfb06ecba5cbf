/**
 * A timer that interrupts the thread which set it: a bound on how long a call may block.
 *
 * @module
 */
import { HostError } from "./errors.ts";
import { check, errno, libc } from "./libc.ts";
import { installKickHandler, SIG_KICK, threadId } from "./signals.ts";

const CLOCK_MONOTONIC = 1;
const SIGEV_THREAD_ID = 4;
/** `struct sigevent`: value 0, signo 8, notify 12, tid 16. */
const SIGEVENT_BYTES = 64;
const EMPTY = new Uint8Array(0);
/** A tick that falls between two blocking calls is lost on both, so there is another soon. */
const AGAIN_NANOSECONDS = 1_000_000n;

/** Interrupts the calling thread with the kick signal, from a time on until disposed. */
export class ThreadTimer implements Disposable {
  readonly #id: bigint;

  /**
   * @param milliseconds When the first interruption comes
   * @throws {HostError} If the host gives no timer
   */
  constructor(milliseconds: number) {
    installKickHandler();
    const event = new DataView(new ArrayBuffer(SIGEVENT_BYTES));
    event.setInt32(8, SIG_KICK, true);
    event.setInt32(12, SIGEV_THREAD_ID, true);
    event.setInt32(16, threadId(), true);
    const id = new BigUint64Array(1);
    check(libc.timer_create(CLOCK_MONOTONIC, event, id), "timer_create");
    this.#id = id[0]!;
    const nanoseconds = BigInt(Math.round(milliseconds * 1e6));
    const spec = BigInt64Array.of(
      0n,
      AGAIN_NANOSECONDS,
      nanoseconds / 1_000_000_000n,
      nanoseconds % 1_000_000_000n,
    );
    if (libc.timer_settime(this.#id, 0, spec, EMPTY) < 0) {
      const failure = new HostError("timer_settime", errno());
      this[Symbol.dispose]();
      throw failure;
    }
  }

  [Symbol.dispose](): void {
    libc.timer_delete(this.#id);
  }
}
