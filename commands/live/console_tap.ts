/**
 * A VM's console for any number of readers that come and go: what it has said lately, and what it
 * says from now on. A reader that does not read loses what it has not read; it never holds up the
 * guest, nor makes the owner grow.
 *
 * @module
 */
import type { Machine } from "../../vmm/machine.ts";
import { ByteTail } from "./byte_tail.ts";

/** What is kept for who comes later. */
const KEPT_BYTES = 2 ** 18;
/** What may wait for a reader; beyond that its oldest goes. */
const MOST_WAITING = 2 ** 20;

/** Why there is nothing more to read. */
export type ConsoleEnd = "ended" | "detached";

/** Watches the console of one VM. */
export class ConsoleTap {
  readonly #tail = new ByteTail(KEPT_BYTES);
  readonly #readers = new Set<ConsoleReader>();
  #over = false;
  /** Up to where the console has been matched by those who waited for some text. */
  matched = 0;

  /**
   * @param machine The VM, not started
   */
  constructor(machine: Machine) {
    machine.console.attach((bytes) => {
      this.#tail.push(bytes);
      for (const reader of this.#readers) reader.push(bytes);
    });
    const over = () => {
      this.#over = true;
      for (const reader of this.#readers) reader.end("ended");
    };
    machine.ended.then(over, over);
  }

  /** How many bytes it has said. */
  get end(): number {
    return this.#tail.end;
  }

  /** The place of the first byte that is still there. */
  get start(): number {
    return this.#tail.start;
  }

  /**
   * What was said from a place on and is still there.
   *
   * @param from The place
   */
  since(from: number): Uint8Array<ArrayBuffer> {
    return this.#tail.since(from);
  }

  /**
   * Reads from now on.
   *
   * @param from What to begin with: what was said from that place on and is still there
   * @returns The reader; dispose it
   */
  read(from = this.end): ConsoleReader {
    const reader = new ConsoleReader(this.#tail.since(from), () => this.#readers.delete(reader));
    if (this.#over) reader.end("ended");
    else this.#readers.add(reader);
    return reader;
  }

  /**
   * Ends what readers there are of those that may be sent away.
   *
   * @returns How many
   */
  detach(): number {
    const attached = [...this.#readers].filter(({ detachable }) => detachable);
    for (const reader of attached) reader.end("detached");
    return attached.length;
  }
}

/** One reader of a console. */
export class ConsoleReader implements Disposable {
  /** Whether it is a person's, which `detach` ends. */
  detachable = false;
  /** Why it has ended, once it has. */
  ended: ConsoleEnd | undefined;
  readonly #done: () => void;
  readonly #waiting = new ByteTail(MOST_WAITING);
  #read = 0;
  #wake: () => void = () => {};

  /**
   * @param first What it begins with
   * @param done Called when it wants no more
   */
  constructor(first: Uint8Array<ArrayBuffer>, done: () => void) {
    this.#done = done;
    if (first.length > 0) this.push(first);
  }

  /**
   * Takes what the guest said.
   *
   * @param bytes The bytes
   */
  push(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#wake();
  }

  /**
   * Ends it; what waits is still there to be read.
   *
   * @param why For whoever reads
   */
  end(why: ConsoleEnd): void {
    this.ended ??= why;
    this.#done();
    this.#wake();
  }

  /**
   * Waits for more.
   *
   * @param signal Aborts the wait
   * @returns What has been said; undefined at the end, or when it was aborted
   */
  async next(signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const abort = () => this.#wake();
    signal?.addEventListener("abort", abort);
    try {
      while (this.#read === this.#waiting.end) {
        if (this.ended !== undefined || signal?.aborted) return undefined;
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    } finally {
      signal?.removeEventListener("abort", abort);
    }
    return this.#take();
  }

  [Symbol.dispose](): void {
    this.end("detached");
  }

  #take(): Uint8Array<ArrayBuffer> {
    const lost = this.#waiting.start - this.#read;
    const bytes = this.#waiting.since(this.#read);
    this.#read = this.#waiting.end;
    if (lost <= 0) return bytes;
    const notice = new TextEncoder().encode(`\r\n[hvsh: ${lost} bytes are missing here]\r\n`);
    const all = new Uint8Array(notice.length + bytes.length);
    all.set(notice);
    all.set(bytes, notice.length);
    return all;
  }
}
