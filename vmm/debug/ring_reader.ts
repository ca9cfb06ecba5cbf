/**
 * Reads rings that vCPUs' threads fill. It looks every few milliseconds: a wake-up for each record would
 * cost the vCPU as much as all the rest.
 *
 * @module
 */
import { monotonicNanoseconds } from "../../ffi/clock.ts";
import type { RecordRing } from "./record_ring.ts";

const LOOK_MILLISECONDS = 20;
/** setTimeout's own limit. */
const MOST_DELAY = 2 ** 31 - 1;
/** Records of a ring that are taken at once: what follows is sent on before more is read. */
const MOST_AT_ONCE = 4096;

/** When to end. */
export interface ReadingEnd {
  /** Resolves when nothing comes any more. */
  readonly ended: Promise<unknown>;
  /** After so many seconds. */
  readonly seconds?: number;
  /** When it aborts. */
  readonly signal?: AbortSignal;
}

/** What was there at one look. */
export interface Batch<T> {
  /** Nanoseconds of CLOCK_MONOTONIC of the look. */
  readonly time_ns: number;
  readonly records: T[];
  /** How many were lost since the look before, for rings that lost some. */
  readonly lost: { readonly vcpu: number; readonly lost: number }[];
}

/**
 * Reads rings until the end.
 *
 * @param rings A ring for each vCPU
 * @param read Makes a record of what lies at an offset of a vCPU's ring
 * @param end When to end
 * @returns What came, look by look; empty ones are left out
 */
export async function* readRings<T>(
  rings: readonly (RecordRing | undefined)[],
  read: (vcpu: number, offset: number) => T,
  end: ReadingEnd,
): AsyncGenerator<Batch<T>> {
  using stop = new Ending(end);
  for (;;) {
    const last = stop.stopped; // before the look: what came until then is still read
    const batch: Batch<T> = { time_ns: monotonicNanoseconds(), records: [], lost: [] };
    let full = false;
    for (const [vcpu, ring] of rings.entries()) {
      if (ring === undefined) continue;
      const count = ring.drain((at) => void batch.records.push(read(vcpu, at)), MOST_AT_ONCE);
      if (count === MOST_AT_ONCE) full = true;
      const lost = ring.takeLost();
      if (lost > 0) batch.lost.push({ vcpu, lost });
    }
    if (batch.records.length > 0 || batch.lost.length > 0) yield batch;
    if (last && !full) return;
    await stop.within(full ? 0 : LOOK_MILLISECONDS);
  }
}

/** Waits for a while, or for the end. */
class Ending implements Disposable {
  stopped = false;
  #wake: (() => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #stop = () => {
    this.stopped = true;
    this.#wake?.();
  };

  constructor({ ended, seconds, signal }: ReadingEnd) {
    this.#signal = signal;
    ended.then(this.#stop, this.#stop);
    signal?.addEventListener("abort", this.#stop);
    if (signal?.aborted) this.#stop();
    if (seconds !== undefined) {
      this.#timer = setTimeout(this.#stop, Math.min(seconds * 1000, MOST_DELAY));
    }
  }

  async within(milliseconds: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, this.stopped ? 0 : milliseconds);
    });
    this.#wake = undefined;
    clearTimeout(timer);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#stop);
  }
}
