/**
 * The doorbell of a VM: any thread rings it, and the main thread serves whoever rang, without keeping
 * its event loop from the rest of its work.
 *
 * @module
 */

/**
 * How long a guest that rings all the time keeps the event loop from its other work, timers and control
 * sockets, in milliseconds. A wait of that length has let it do that.
 */
const MOST_BUSY = 5;

/** A count of rings that threads share. */
export class Doorbell {
  readonly #words: Int32Array;
  readonly #index: number;
  /** Since when it was rung again each time soon after it had been looked at. */
  #busySince: number | undefined;
  /** The event loop's turn that all wait for: it has none as long as anybody goes on. */
  #turn: Promise<void> | undefined;

  /**
   * @param words Shared memory
   * @param index Which word counts
   */
  constructor(words: Int32Array, index: number) {
    this.#words = words;
    this.#index = index;
  }

  /** Has the main thread look. */
  ring(): void {
    Atomics.add(this.#words, this.#index, 1);
    Atomics.notify(this.#words, this.#index);
  }

  /** How often it was rung; take it before looking, hand it to {@linkcode after} afterwards. */
  get count(): number {
    return Atomics.load(this.#words, this.#index);
  }

  /**
   * Waits, without blocking the thread, until it has been rung since a count was taken.
   *
   * @param seen The count taken before looking
   */
  async after(seen: number): Promise<void> {
    const begin = performance.now();
    const wait = Atomics.waitAsync(this.#words, this.#index, seen);
    if (wait.async) {
      await wait.value;
      if (this.#turn === undefined && performance.now() - begin >= MOST_BUSY) {
        this.#busySince = undefined;
        return;
      }
    }
    // Also a wait may end within the same turn of the event loop: a vCPU with which this thread shares
    // a processor rings before V8 has run out of tasks.
    await this.giveTurn();
  }

  /** Resolves when nobody waits for the event loop's turn any more. */
  get idle(): Promise<void> {
    return this.#turn ?? Promise.resolve();
  }

  /** Gives the event loop its turn if it has had none for long: for who goes on without a wait. */
  async giveTurn(): Promise<void> {
    const now = performance.now();
    this.#busySince ??= now;
    if (now - this.#busySince < MOST_BUSY) return;
    this.#turn ??= new Promise<void>((resolve) => setTimeout(resolve, 0)).then(() => {
      this.#turn = undefined;
      this.#busySince = undefined;
    });
    await this.#turn;
  }
}
