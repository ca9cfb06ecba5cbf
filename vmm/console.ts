/**
 * The main thread's side of a machine's byte devices: output from their rings to whoever reads it,
 * input to the one that the guest listens to.
 *
 * @module
 */
import type { Arena } from "./arena.ts";
import type { DeviceSet, OpenDevice } from "./device_set.ts";
import { PanicWatch } from "./panic_watch.ts";
import { doneInTime } from "./slow_reader.ts";

/** Takes output; a promise holds further output of that device back until it resolves. */
export type ConsoleSink = (bytes: Uint8Array<ArrayBuffer>, device: string) => void | Promise<void>;

/** How a console is watched. */
export interface ConsoleOptions {
  /** Whether a Linux kernel may print a panic. */
  readonly kernel: boolean;
  /** Called when a kernel begins to print a panic. */
  readonly onPanicBegin: () => void;
  /** Called when a kernel has panicked and spins. */
  readonly onPanic: () => void;
  /** Called when a reader fails, which ends its VM. */
  readonly onFailure: (error: unknown) => void;
}

/** What was typed, and for which device if that was said. */
interface Input {
  readonly bytes: Uint8Array;
  readonly to: string | undefined;
}

/** The byte devices of a machine. */
export class Console {
  readonly #arena: Arena;
  readonly #set: DeviceSet;
  #watch: PanicWatch | undefined;
  readonly #onPanicBegin: () => void;
  readonly #onPanic: () => void;
  readonly #onFailure: (error: unknown) => void;
  /** Devices whose output is being handed over, and the work that does it. */
  readonly #busy = new Set<OpenDevice>();
  readonly #works = new Set<Promise<void>>();
  readonly #sinks: ConsoleSink[] = [];
  readonly #pending: Input[] = [];
  #room: PromiseWithResolvers<void> | undefined;
  #held = false;

  /**
   * @param arena The VM's shared state
   * @param set The devices of this thread
   * @param options How to watch it
   */
  constructor(arena: Arena, set: DeviceSet, options: ConsoleOptions) {
    this.#arena = arena;
    this.#set = set;
    this.#watch = options.kernel ? new PanicWatch() : undefined;
    this.#onPanicBegin = options.onPanicBegin;
    this.#onPanic = options.onPanic;
    this.#onFailure = options.onFailure;
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
   * @param to To which of its devices; if left out, to the one that it listens to
   * @returns Resolves when the guest's device has taken all of it
   */
  send(bytes: Uint8Array, to?: string): Promise<void> {
    if (bytes.length === 0 || !this.#set.devices.some(takesInput)) return Promise.resolve();
    this.#pending.push({ bytes, to });
    this.#room ??= Promise.withResolvers();
    const { promise } = this.#room;
    this.#offerInput();
    return promise;
  }

  /** The guest starts anew: what its kernel said before counts no more. */
  startAnew(): void {
    if (this.#watch !== undefined) this.#watch = new PanicWatch();
  }

  /** Has input wait from now on. */
  hold(): void {
    this.#held = true;
  }

  /** Has input go to the guest again. */
  letGo(): void {
    this.#held = false;
    this.#offerInput();
  }

  /** Moves what is there, both ways; never blocks. */
  pump(): void {
    for (const open of this.#set.devices) {
      if (open.ring.length > 0 && !this.#busy.has(open)) {
        const work = this.#forward(open).catch(this.#onFailure);
        this.#works.add(work);
        work.finally(() => this.#works.delete(work));
      }
    }
    this.#offerInput();
  }

  /**
   * Hands over what is left after the machine has stopped.
   *
   * @param told Resolves when it was told to end: then a reader that does not read is not waited for
   */
  async drain(told: Promise<void>): Promise<void> {
    await doneInTime(this.#drain(), told);
  }

  async #drain(): Promise<void> {
    await Promise.all(this.#works);
    for (const open of this.#set.devices) await this.#forward(open);
  }

  /**
   * Hands over what a device's ring has. That it is empty and that nobody works on it any more is
   * one step here: a byte that comes later rings the doorbell, and finds the device free.
   */
  async #forward(open: OpenDevice): Promise<void> {
    this.#busy.add(open);
    try {
      // While a reader was slow the device may have gone, and its place in the arena be another's.
      while (this.#set.devices.includes(open) && open.ring.length > 0) {
        const bytes = open.ring.take();
        this.#arena.announceProgress();
        this.#set.roomMade(open);
        if (this.#watch !== undefined) {
          const before = this.#watch.panicked;
          this.#watch.push(bytes);
          if (!before && this.#watch.panicked) this.#onPanicBegin();
          if (this.#watch.over) this.#onPanic();
        }
        for (const sink of this.#sinks) {
          const written = sink(bytes, open.name);
          if (written !== undefined) await written;
        }
      }
    } finally {
      this.#busy.delete(open);
    }
  }

  /** Where input goes: to a console that its guest listens to, else to the first that takes any. */
  #listener(): OpenDevice | undefined {
    const listens = (open: OpenDevice) =>
      open.device.listening !== undefined &&
      this.#set.locked(open, (device) => device.listening!());
    const inputs = this.#set.devices.filter(takesInput);
    return inputs.find(listens) ??
      inputs.find(({ device }) => device.listening === undefined);
  }

  #input(to: string): OpenDevice | undefined {
    return this.#set.devices.find((open) => open.name === to && takesInput(open));
  }

  #offerInput(): void {
    if (this.#pending.length === 0 || this.#held) return;
    for (let next = this.#pending[0]; next !== undefined; next = this.#pending[0]) {
      const { bytes, to } = next;
      const input = to === undefined ? this.#listener() : this.#input(to);
      if (input === undefined) return;
      const taken = this.#set.locked(input, (device) => device.receive!(bytes));
      if (taken < bytes.length) {
        this.#pending[0] = { bytes: bytes.subarray(taken), to };
        return;
      }
      this.#pending.shift();
    }
    this.#room?.resolve();
    this.#room = undefined;
  }
}

function takesInput({ device }: OpenDevice): boolean {
  return device.receive !== undefined;
}
