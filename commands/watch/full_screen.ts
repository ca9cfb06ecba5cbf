/**
 * A person's terminal as a screen of its own: what was on it is there again afterwards, on every way out.
 *
 * @module
 */
import type { PersonTerminal, VerbContext } from "../verb.ts";

/** xterm's control sequences: the other screen, without a cursor, and back. */
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_REST = "\x1b[J";

const CTRL_C = 0x03;
const CTRL_D = 0x04;
const QUIT = 0x71;
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** A screen that is drawn again and again, until it is left. */
export class FullScreen implements AsyncDisposable {
  /** Aborts when the person leaves it, by q or ^C, or a signal comes. */
  readonly left: AbortSignal;
  /** 128 and the number of the signal that came; 0 if the person left. */
  status = 0;
  readonly #context: VerbContext;
  readonly #terminal: PersonTerminal;
  readonly #leave = new AbortController();
  readonly #undo = new DisposableStack();

  private constructor(context: VerbContext, terminal: PersonTerminal) {
    this.#context = context;
    this.#terminal = terminal;
    this.left = AbortSignal.any([this.#leave.signal, context.signal]);
  }

  /**
   * Takes the person's terminal.
   *
   * @param context Where the verb runs
   * @returns The screen; undefined if no person is at a terminal that takes single keys
   */
  static async open(context: VerbContext): Promise<FullScreen | undefined> {
    const { terminal } = context;
    if (context.forPerson !== true || terminal?.setRaw === undefined) return undefined;
    const screen = new FullScreen(context, terminal);
    await screen.#enter();
    return screen;
  }

  async #enter(): Promise<void> {
    for (const [signal, status] of Object.entries(SIGNALS)) {
      const came = () => {
        this.status ||= status;
        this.#leave.abort();
      };
      Deno.addSignalListener(signal as Deno.Signal, came);
      this.#undo.defer(() => Deno.removeSignalListener(signal as Deno.Signal, came));
    }
    this.#terminal.setRaw!(true);
    this.#undo.defer(() => this.#terminal.setRaw!(false));
    // An error that nobody awaits ends the process from elsewhere.
    const unload = () => void this.#context.print(LEAVE).catch(() => {});
    addEventListener("unload", unload);
    this.#undo.defer(() => removeEventListener("unload", unload));
    await this.#context.print(ENTER);
    this.#readKeys();
  }

  async #readKeys(): Promise<void> {
    const keys = new Uint8Array(64);
    try {
      while (!this.left.aborted) {
        const count = await this.#terminal.read(keys);
        if (count === null) break;
        for (const key of keys.subarray(0, count)) {
          if (key === QUIT || key === CTRL_C || key === CTRL_D) return this.#leave.abort();
        }
      }
    } catch {
      // A terminal that is gone is left too.
    }
    this.#leave.abort();
  }

  /**
   * Draws over what is there.
   *
   * @param text Lines; what the screen has no room for is cut off
   */
  async draw(text: string): Promise<void> {
    if (this.left.aborted) return;
    const { columns, rows } = screenSize();
    const lines = text.trimEnd().split("\n").slice(0, rows)
      .map((line) => [...line].slice(0, columns).join("") + CLEAR_LINE);
    await this.#context.print(HOME + lines.join("\r\n") + CLEAR_REST);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#undo.dispose();
    await this.#context.print(LEAVE).catch(() => {}); // of a terminal that is gone
  }
}

function screenSize(): { columns: number; rows: number } {
  try {
    const { columns, rows } = Deno.consoleSize();
    if (columns > 0 && rows > 0) return { columns, rows };
  } catch {
    // A terminal that says no size has the usual one.
  }
  return { columns: 80, rows: 24 };
}
