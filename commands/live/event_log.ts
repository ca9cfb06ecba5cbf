/**
 * What happens to a VM, for any number of readers: its state, resets, panics, and what its devices
 * tell. Each event is one JSON object:
 *
 *     {"time":"2025-11-22T19:03:04.567Z","kind":"paused"}
 *     {"time":"2025-11-22T19:03:05.678Z","device":"disk0","kind":"needs-reset","message":"…"}
 *
 * @module
 */
import type { Machine } from "../../vmm/machine.ts";

/** An event as it is told; `device` is left out for what concerns the VM itself. */
export interface VmEvent {
  /** When, as ISO 8601 has it. */
  readonly time: string;
  readonly device?: string;
  /** What: `running`, `paused`, `ended`, `reset`, `panic`, or a device's `needs-reset`, `error`… */
  readonly kind: string;
  readonly [detail: string]: unknown;
}

/** What is kept for who comes later, and what may wait for a reader. */
const MOST_EVENTS = 1024;
/** A device can be made by its guest to say much; an event is no place for it. */
const MOST_MESSAGE = 1000;

/** Keeps and tells the events of one VM. */
export class EventLog {
  readonly #kept: VmEvent[] = [];
  readonly #readers = new Set<EventReader>();
  #over = false;
  #copy: ((event: VmEvent) => void) | undefined;

  /**
   * @param machine The VM, not started
   */
  constructor(machine: Machine) {
    machine.listen((device, { message, ...event }) => {
      this.#add({
        time: new Date().toISOString(),
        ...(device === "" ? {} : { device }),
        ...event,
        ...(message === undefined ? {} : { message: message.slice(0, MOST_MESSAGE) }),
      });
      if (device === "" && event.kind === "ended") this.#end();
    });
  }

  /**
   * Reads events, those that were before and those to come.
   *
   * @param since Those before that time are left out, in milliseconds since 1970
   * @returns The reader; dispose it
   */
  read(since: number): EventReader {
    const reader = new EventReader(() => this.#readers.delete(reader));
    for (const event of this.#kept) {
      if (Date.parse(event.time) >= since) reader.push(event);
    }
    if (this.#over) reader.end();
    else this.#readers.add(reader);
    return reader;
  }

  /** Has events to come written somewhere too. */
  copyTo(write: (event: VmEvent) => void): void {
    this.#copy = write;
  }

  #add(event: VmEvent): void {
    this.#kept.push(event);
    if (this.#kept.length > MOST_EVENTS) this.#kept.shift();
    for (const reader of this.#readers) reader.push(event);
    this.#copy?.(event);
  }

  #end(): void {
    this.#over = true;
    for (const reader of this.#readers) reader.end();
  }
}

/** One reader of a VM's events. */
export class EventReader implements Disposable {
  readonly #done: () => void;
  readonly #waiting: VmEvent[] = [];
  #lost = 0;
  #over = false;
  #wake: () => void = () => {};

  /**
   * @param done Called when it wants no more
   */
  constructor(done: () => void) {
    this.#done = done;
  }

  /** Takes an event; the oldest that waits goes if there are too many. */
  push(event: VmEvent): void {
    this.#waiting.push(event);
    if (this.#waiting.length > MOST_EVENTS) {
      this.#waiting.shift();
      this.#lost++;
    }
    this.#wake();
  }

  /** There will be no more. */
  end(): void {
    this.#over = true;
    this.#done();
    this.#wake();
  }

  /** What waits. */
  take(): VmEvent[] {
    const events = this.#waiting.splice(0);
    if (this.#lost === 0) return events;
    const lost = { time: new Date().toISOString(), kind: "lost", count: this.#lost };
    this.#lost = 0;
    return [lost, ...events];
  }

  /**
   * Waits for more.
   *
   * @param signal Aborts the wait
   * @returns Events; undefined at the end, or when it was aborted
   */
  async next(signal: AbortSignal): Promise<VmEvent[] | undefined> {
    const abort = () => this.#wake();
    signal.addEventListener("abort", abort);
    try {
      while (this.#waiting.length === 0) {
        if (this.#over || signal.aborted) return undefined;
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    } finally {
      signal.removeEventListener("abort", abort);
    }
    return this.take();
  }

  [Symbol.dispose](): void {
    this.end();
  }
}
