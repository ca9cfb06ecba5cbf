/**
 * Looks for a Linux kernel panic in console output, since most kernels have no pvpanic driver and
 * say it there only.
 *
 * @module
 */

/** What `panic()` prints first (kernel/panic.c). */
const BEGIN = "Kernel panic - not syncing";
/** What it prints when it is done and spins for ever. */
const END = "---[ end Kernel panic";

/** Follows one console. */
export class PanicWatch {
  #tail = "";
  #panicked = false;
  #over = false;
  readonly #decoder = new TextDecoder("latin1");

  /** Whether a panic was seen. */
  get panicked(): boolean {
    return this.#panicked;
  }

  /** Whether the kernel has nothing more to say after it. */
  get over(): boolean {
    return this.#over;
  }

  /**
   * Takes the console's next bytes.
   *
   * @param bytes What the guest wrote
   */
  push(bytes: Uint8Array): void {
    const text = this.#tail + this.#decoder.decode(bytes);
    this.#panicked ||= text.includes(BEGIN);
    this.#over ||= text.includes(END);
    this.#tail = text.slice(-Math.max(BEGIN.length, END.length));
  }
}
