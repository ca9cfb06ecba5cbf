/**
 * A VM's console as a program reads and writes it.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";

/** Unread output beyond this is dropped from its beginning. */
const KEPT_CHARACTERS = 1 << 20;
const SHOWN_CHARACTERS = 200;

/** A VM, as its console needs it. */
export interface ConsoleSource {
  readonly console: {
    /** Has what the guest prints from now on go somewhere. */
    attach(sink: (bytes: Uint8Array<ArrayBuffer>) => void): unknown;
    /** Types; resolves when the guest has taken it. */
    send(bytes: Uint8Array): Promise<void>;
  };
  /** Settles when it has ended. */
  readonly ended: Promise<unknown>;
}

/** Reads what a guest prints and types what it waits for. */
export class VmConsole {
  readonly #machine: ConsoleSource;
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();
  #unread = "";
  #wake = Promise.withResolvers<void>();

  /**
   * @param machine The VM, which has not printed yet what is to be read
   */
  constructor(machine: ConsoleSource) {
    this.#machine = machine;
    machine.console.attach((bytes) => {
      const text = this.#unread + this.#decoder.decode(bytes, { stream: true });
      this.#unread = text.slice(-KEPT_CHARACTERS);
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    });
  }

  /** What was printed and not read so far; reading it takes nothing away. */
  get unread(): string {
    return this.#unread;
  }

  /**
   * Waits for text, and reads up to its end.
   *
   * @param pattern What to wait for
   * @param options `ms` is how long to wait at most, in milliseconds. Default 10 000
   * @returns All that was printed since the last call, up to and with the pattern
   * @throws {VmError} If the time passes or the VM ends before it is printed
   */
  async until(pattern: string | RegExp, options: { ms?: number } = {}): Promise<string> {
    const { ms = 10_000 } = options;
    const late = Promise.withResolvers<"late">();
    const timer = setTimeout(() => late.resolve("late"), ms);
    const over = this.#machine.ended.then(() => "over" as const, () => "over" as const);
    try {
      for (;;) {
        const wake = this.#wake.promise;
        const text = this.#take(pattern);
        if (text !== undefined) return text;
        const why = await Promise.race([wake, late.promise, over]);
        if (why === undefined) continue;
        const last = this.#take(pattern); // what came with the end
        if (last !== undefined) return last;
        throw new VmError(
          why === "late"
            ? `The console did not print ${pattern} within ${ms} ms`
            : `The VM ended before its console printed ${pattern}`,
          { hint: `it printed last: ${JSON.stringify(this.#unread.slice(-SHOWN_CHARACTERS))}` },
        );
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Types text.
   *
   * @param text What to type
   * @returns Resolves when the guest's serial port has taken all of it
   */
  async send(text: string | Uint8Array): Promise<void> {
    await this.#machine.console.send(
      typeof text === "string" ? this.#encoder.encode(text) : text,
    );
  }

  #take(pattern: string | RegExp): string | undefined {
    const unread = this.#unread;
    let end: number;
    if (typeof pattern === "string") {
      const at = unread.indexOf(pattern);
      if (at < 0) return undefined;
      end = at + pattern.length;
    } else {
      const match = new RegExp(pattern, pattern.flags.replace(/[gy]/g, "")).exec(unread);
      if (match === null) return undefined;
      end = match.index + match[0].length;
    }
    this.#unread = unread.slice(end);
    return unread.slice(0, end);
  }
}
