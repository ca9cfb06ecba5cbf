/**
 * The main thread's side of a machine's byte devices: output from their rings to whoever reads it,
 * input to the first serial port.
 *
 * @module
 */
import type { Arena } from "./arena.ts";
import type { DeviceSet, OpenDevice } from "./device_set.ts";
import { PanicWatch } from "./panic_watch.ts";

/** Takes output; a promise holds further output of that device back until it resolves. */
export type ConsoleSink = (bytes: Uint8Array<ArrayBuffer>, device: string) => void | Promise<void>;

/** How a console is watched. */
export interface ConsoleOptions {
  /** Whether a Linux kernel may print a panic. */
  readonly kernel: boolean;
  /** Called when a kernel has panicked and spins. */
  readonly onPanic: () => void;
}

/** The byte devices of a machine. */
export class Console {
  readonly #arena: Arena;
  readonly #set: DeviceSet;
  readonly #watch: PanicWatch | undefined;
  readonly #onPanic: () => void;
  readonly #busy = new Map<OpenDevice, Promise<void>>();
  readonly #sinks: ConsoleSink[] = [];
  readonly #input: OpenDevice | undefined;
  #pending: Uint8Array[] = [];
  #room: PromiseWithResolvers<void> | undefined;

  /**
   * @param arena The VM's shared state
   * @param set The devices of this thread
   * @param options How to watch it
   */
  constructor(arena: Arena, set: DeviceSet, options: ConsoleOptions) {
    this.#arena = arena;
    this.#set = set;
    this.#watch = options.kernel ? new PanicWatch() : undefined;
    this.#onPanic = options.onPanic;
    this.#input = set.devices.find(({ device }) => device.receive !== undefined);
  }

  /** Whether a kernel panic was printed. */
  get panicked(): boolean {
    return this.#watch?.panicked ?? false;
  }

  /**
   * Has all output from now on go to a reader too.
   *
   * @param sink The reader
   * @returns A function that takes it away again
   */
  attach(sink: ConsoleSink): () => void {
    this.#sinks.push(sink);
    return () => {
      this.#sinks.splice(this.#sinks.indexOf(sink), 1);
    };
  }

  /**
   * Sends input to the guest.
   *
   * @param bytes What was typed
   * @returns Resolves when the guest's device has taken all of it
   */
  send(bytes: Uint8Array): Promise<void> {
    if (this.#input === undefined || bytes.length === 0) return Promise.resolve();
    this.#pending.push(bytes);
    this.#room ??= Promise.withResolvers();
    const { promise } = this.#room;
    this.#offerInput();
    return promise;
  }

  /** Moves what is there, both ways; never blocks. */
  pump(): void {
    for (const open of this.#set.devices) {
      if (open.ring.length > 0 && !this.#busy.has(open)) {
        const work = this.#forward(open).finally(() => this.#busy.delete(open));
        this.#busy.set(open, work);
      }
    }
    this.#offerInput();
  }

  /** Hands over what is left after the machine has stopped. */
  async drain(): Promise<void> {
    await Promise.all(this.#busy.values());
    for (const open of this.#set.devices) await this.#forward(open);
  }

  async #forward(open: OpenDevice): Promise<void> {
    while (open.ring.length > 0) {
      const bytes = open.ring.take();
      this.#arena.announceProgress();
      if (this.#watch !== undefined) {
        this.#watch.push(bytes);
        if (this.#watch.over) this.#onPanic();
      }
      for (const sink of this.#sinks) {
        const written = sink(bytes, open.name);
        if (written !== undefined) await written;
      }
    }
  }

  #offerInput(): void {
    const input = this.#input;
    if (input === undefined) return;
    for (let bytes = this.#pending[0]; bytes !== undefined; bytes = this.#pending[0]) {
      const chunk = bytes;
      const taken = this.#set.locked(input, (device) => device.receive!(chunk));
      if (taken < chunk.length) {
        this.#pending[0] = chunk.subarray(taken);
        return;
      }
      this.#pending.shift();
    }
    this.#room?.resolve();
    this.#room = undefined;
  }
}
