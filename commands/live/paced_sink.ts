/**
 * A sink that tells how fast it takes what is written, and holds the pace down.
 *
 * @module
 */
import type { StreamSink } from "../../vmm/state/stream_writer.ts";

/** Milliseconds of the limit that may be made up for: timers are late. */
const MOST_SAVED = 50;

/** Counts what another sink takes. */
export class PacedSink implements StreamSink {
  readonly #sink: StreamSink;
  /** Bytes a second; Infinity for no limit. */
  readonly #limit: number;
  #bytes = 0;
  /** Milliseconds that were waited for the limit's sake. */
  #waited = 0;
  /** What the limit counts from. */
  #since = performance.now();
  #sinceBytes = 0;
  /** Let what comes go at once. */
  unlimited = false;

  /**
   * @param sink The other sink
   * @param limit Bytes a second that it is to take at most; Infinity for no limit
   */
  constructor(sink: StreamSink, limit: number) {
    this.#sink = sink;
    this.#limit = limit;
  }

  /** Bytes so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Milliseconds so far that were waited for the limit's sake. */
  get waited(): number {
    return this.#waited;
  }

  async write(pieces: readonly Uint8Array[]): Promise<void> {
    await this.#sink.write(pieces);
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
    this.#bytes += bytes;
    this.#sinceBytes += bytes;
    if (this.unlimited || this.#limit === Infinity) return;
    const now = performance.now();
    const due = this.#since + this.#sinceBytes / this.#limit * 1000;
    if (due <= now) {
      if (now - due > MOST_SAVED) { // what was not used for long is not made up for
        this.#since = now;
        this.#sinceBytes = 0;
      }
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, due - now));
    this.#waited += performance.now() - now;
  }
}
