/**
 * The shell's terminal as it shares it: with its own line editor while a line is typed, with
 * programs and verbs while it runs.
 *
 * @module
 */
import { terminalLook } from "../terminal_look.ts";
import type { PersonTerminal } from "../verb.ts";
import type { Size } from "./line_screen.ts";

const CHUNK = 65536;

/**
 * Reads the terminal for one reader after the other. A read that the kernel has begun cannot be
 * taken back; were it dropped with its reader, the next keys would go with it. So the next reader
 * takes it over.
 */
export class TerminalInput implements PersonTerminal {
  readonly #terminal: PersonTerminal;
  #begun: Promise<Uint8Array | null> | undefined;
  #kept: Uint8Array = new Uint8Array();
  #dismiss: () => void = () => {};

  /** @param terminal The terminal itself */
  constructor(terminal: PersonTerminal) {
    this.#terminal = terminal;
  }

  setRaw(raw: boolean): void {
    this.#terminal.setRaw?.(raw);
  }

  /**
   * Reads. A read of an earlier reader that still waits ends with null.
   *
   * @param buffer Where to
   * @returns How many bytes, null at the end
   */
  async read(buffer: Uint8Array): Promise<number | null> {
    this.#dismiss();
    if (this.#kept.length === 0) {
      this.#begun ??= this.#begin();
      const dismissed = new Promise<undefined>((resolve) => {
        this.#dismiss = () => resolve(undefined);
      });
      const bytes = await Promise.race([this.#begun, dismissed]);
      if (bytes === undefined) return null;
      this.#begun = undefined;
      if (bytes === null) return null;
      this.#kept = bytes;
    }
    const count = Math.min(buffer.length, this.#kept.length);
    buffer.set(this.#kept.subarray(0, count));
    this.#kept = this.#kept.subarray(count);
    return count;
  }

  /**
   * Puts bytes back for the next reader, such as lines that were pasted behind the first.
   *
   * @param bytes What was read too far
   */
  unread(bytes: Uint8Array): void {
    const kept = new Uint8Array(bytes.length + this.#kept.length);
    kept.set(bytes);
    kept.set(this.#kept, bytes.length);
    this.#kept = kept;
  }

  async #begin(): Promise<Uint8Array | null> {
    const buffer = new Uint8Array(CHUNK);
    const count = await this.#terminal.read(buffer);
    return count === null ? null : buffer.slice(0, count);
  }
}

/** The terminal's screen. */
export class Screen {
  readonly #encoder = new TextEncoder();

  /** How large it is now. */
  get size(): Size {
    return terminalLook();
  }

  /**
   * Writes, before this returns.
   *
   * @param text The text, with the terminal's control sequences
   */
  write(text: string): void {
    const bytes = this.#encoder.encode(text);
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  }
}
