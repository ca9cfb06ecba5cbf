/**
 * A person's terminal as a screen of its own: what was on it is there again afterwards, on every way out.
 *
 * @module
 */
import { cutText } from "../text_cut.ts";
import { movesCursor, terminalLook } from "../terminal_look.ts";
import type { PersonTerminal, TerminalLook, VerbContext } from "../verb.ts";

/** xterm's control sequences: the other screen, without a cursor and without wrapping lines, and back. */
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
/** Whatever was marked ends with its line. */
const END_LINE = "\x1b[0m\x1b[K";
const CLEAR_REST = "\x1b[J";
/** A marked part of a line, as {@linkcode FullScreen.draw} takes it. */
export const MARK = { begin: "\x1b[7m", end: "\x1b[27m" } as const;
// deno-lint-ignore no-control-regex -- the two marks
const MARKS = /(\x1b\[27?m)/;

const CTRL_C = "\x03";
const CTRL_D = "\x04";
/** What arrows and function keys send (ECMA-48 §5.4, xterm's SS3): none of its letters is a key. */
// deno-lint-ignore no-control-regex -- they begin with one
const SEQUENCES = /\x1b(\[[0-?]*[ -/]*[@-~]|O.|)/g;
const QUIT = "q";
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** A screen that is drawn again and again, until it is left. */
export class FullScreen implements AsyncDisposable {
  /** Aborts when the person leaves it, by q or ^C, or a signal comes. */
  readonly left: AbortSignal;
  /** 128 and the number of the signal that came; 0 if the person left. */
  status = 0;
  readonly #context: VerbContext;
  readonly #terminal: PersonTerminal;
  readonly #onKey: (key: string) => void;
  readonly #leave = new AbortController();
  readonly #undo = new DisposableStack();
  #wakeUp: () => void = () => {};

  private constructor(
    context: VerbContext,
    terminal: PersonTerminal,
    onKey: (key: string) => void,
  ) {
    this.#context = context;
    this.#terminal = terminal;
    this.#onKey = onKey;
    this.left = AbortSignal.any([this.#leave.signal, context.signal]);
  }

  /**
   * Takes the person's terminal.
   *
   * @param context Where the verb runs
   * @param onKey Takes keys that do not leave it; it is drawn anew then
   * @returns The screen; undefined if no person is at a terminal that takes single keys
   */
  static async open(
    context: VerbContext,
    onKey: (key: string) => void = () => {},
  ): Promise<FullScreen | undefined> {
    const { terminal } = context;
    const able = context.forPerson === true && terminal?.setRaw !== undefined && movesCursor();
    if (!able) return undefined;
    const screen = new FullScreen(context, terminal, onKey);
    await screen.#enter();
    return screen;
  }

  async #enter(): Promise<void> {
    for (const [signal, status] of Object.entries(SIGNALS)) {
      this.#listen(signal as Deno.Signal, () => {
        this.status ||= status;
        this.#leave.abort();
      });
    }
    this.#listen("SIGWINCH", () => this.wake());
    const wake = () => this.wake();
    this.left.addEventListener("abort", wake);
    this.#undo.defer(() => this.left.removeEventListener("abort", wake));
    this.#terminal.setRaw!(true);
    this.#undo.defer(() => {
      try {
        this.#terminal.setRaw!(false);
      } catch {
        // The terminal is gone, and its modes with it.
      }
    });
    // An error that nobody awaits ends the process from elsewhere.
    const unload = () => void this.#context.print(LEAVE).catch(() => {});
    addEventListener("unload", unload);
    this.#undo.defer(() => removeEventListener("unload", unload));
    await this.#context.print(ENTER);
    this.#readKeys();
  }

  #listen(signal: Deno.Signal, came: () => void): void {
    Deno.addSignalListener(signal, came);
    this.#undo.defer(() => Deno.removeSignalListener(signal, came));
  }

  async #readKeys(): Promise<void> {
    const bytes = new Uint8Array(64);
    const decoder = new TextDecoder();
    try {
      while (!this.left.aborted) {
        const count = await this.#terminal.read(bytes);
        if (count === null) break;
        const keys = decoder.decode(bytes.subarray(0, count), { stream: true });
        for (const key of keys.replace(SEQUENCES, "")) {
          if (key === QUIT || key === CTRL_C || key === CTRL_D) return this.#leave.abort();
          this.#onKey(key);
        }
        this.wake();
      }
    } catch {
      // A terminal that is gone is left too.
    }
    this.#hangUp();
  }

  /** The terminal is gone: its signal may come later, or never. */
  #hangUp(): void {
    if (this.left.aborted) return;
    this.status ||= SIGNALS.SIGHUP;
    this.#leave.abort();
  }

  /** What the terminal is like now. */
  get look(): TerminalLook {
    return terminalLook();
  }

  /** Ends a {@linkcode pause}: there is something new to draw. */
  wake(): void {
    this.#wakeUp();
  }

  /**
   * Waits until it is time to draw again: a while has passed, the terminal has another size, a key was
   * typed, or there is something new.
   *
   * @param milliseconds The while
   * @returns False if it has been left
   */
  async pause(milliseconds: number): Promise<boolean> {
    if (this.left.aborted) return false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#wakeUp = resolve;
      timer = setTimeout(resolve, milliseconds);
    });
    clearTimeout(timer);
    return !this.left.aborted;
  }

  /**
   * Draws over what is there.
   *
   * @param text Lines, in which {@linkcode MARK}s may stand and no other control characters; what the
   *   screen has no room for is cut off
   */
  async draw(text: string): Promise<void> {
    if (this.left.aborted) return;
    const { columns, rows } = this.look;
    const lines = text.trimEnd().split("\n").slice(0, rows)
      .map((line) => cutMarked(line, columns) + END_LINE);
    try {
      await this.#context.print(HOME + lines.join("\r\n") + CLEAR_REST);
    } catch {
      this.#hangUp();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#undo.dispose();
    await this.#context.print(LEAVE).catch(() => {}); // of a terminal that is gone
  }
}

/** Cuts a line, whose marks take no room. */
function cutMarked(line: string, columns: number): string {
  const parts = line.split(MARKS);
  const plain = parts.filter((part) => !MARKS.test(part)).join("");
  const cut = cutText(plain, columns);
  if (cut === plain) return line;
  let left = cut.length;
  return parts.map((part) => {
    if (MARKS.test(part)) return part;
    const taken = cut.slice(cut.length - left, cut.length - left + part.length);
    left -= taken.length;
    return taken;
  }).join("");
}
