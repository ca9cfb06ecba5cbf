/**
 * A real terminal with a program on it, for tests: types keys, and waits for what it writes or for what is
 * to be seen on its screen.
 *
 * @module
 */
import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { type IPty, spawn } from "@lydell/node-pty";
import xterm from "@xterm/headless";

const DEADLINE_MS = 180_000;
const ROWS = 24;
const COLUMNS = 80;
const SCROLLBACK = 10_000;

/** hvsh alone, from its sources. */
const SHELL: readonly [string, ...string[]] = [
  Deno.execPath(),
  ...[
    "run",
    "-A",
    "--no-check",
    "--quiet",
    new URL("../commands/main.ts", import.meta.url).pathname,
  ],
];

/** A shell on a terminal of 80 columns and 24 rows. */
export class ShellOnTerminal implements AsyncDisposable {
  readonly #pty: IPty;
  readonly #ended: Promise<number>;
  readonly #screen = new xterm.Terminal({
    cols: COLUMNS,
    rows: ROWS,
    scrollback: SCROLLBACK,
    allowProposedApi: true,
  });
  #written = "";
  #shown = "";
  #seen = 0;
  #wake: () => void = () => {};

  /**
   * @param cwd Its folder
   * @param environment Added to this process's
   * @param program Which shell, and its words; hvsh's own if left out
   */
  constructor(
    cwd: string,
    environment: Readonly<Record<string, string>> = {},
    [program, ...words]: readonly [string, ...string[]] = SHELL,
  ) {
    this.#pty = spawn(program, words, {
      name: environment.TERM ?? "xterm",
      cols: COLUMNS,
      rows: ROWS,
      cwd,
      env: { ...Deno.env.toObject(), ...environment },
    });
    this.#pty.onData((text) => {
      this.#written += text;
      this.#screen.write(text, () => this.#wake());
      this.#shown = stripVTControlCharacters(this.#written);
      this.#wake();
    });
    this.#ended = new Promise((resolve) => this.#pty.onExit(({ exitCode }) => resolve(exitCode)));
  }

  /** Types keys. */
  type(keys: string): void {
    this.#pty.write(keys);
  }

  /** Makes its window another size. */
  resize(columns: number, rows: number): void {
    this.#screen.resize(columns, rows);
    this.#pty.resize(columns, rows);
  }

  /** All that it wrote, with the terminal's control sequences. */
  get written(): string {
    return this.#written;
  }

  /** What is to be seen, scrolled back to the start: lines without blanks at their ends. */
  get screen(): string {
    const { active } = this.#screen.buffer;
    const lines = Array.from(
      { length: active.length },
      (_, i) => active.getLine(i)!.translateToString(true).trimEnd(),
    );
    return lines.join("\n").trimEnd();
  }

  /** Where the cursor is in {@linkcode screen}'s last line. */
  get cursorColumn(): number {
    return this.#screen.buffer.active.cursorX;
  }

  /**
   * Waits until it has written a text behind the one waited for before; gives what is between, both without
   * the terminal's control sequences.
   */
  async until(text: string): Promise<string> {
    const at = await this.#wait(() => {
      const at = this.#shown.indexOf(text, this.#seen);
      return at < 0 ? undefined : at;
    }, () => `${JSON.stringify(text)} is not in ${JSON.stringify(this.#shown.slice(this.#seen))}`);
    const between = this.#shown.slice(this.#seen, at);
    this.#seen = at + text.length;
    return between;
  }

  /**
   * Waits until what is on the screen fits.
   *
   * @param pattern What {@linkcode screen} has to match
   * @returns The match
   */
  async see(pattern: RegExp): Promise<RegExpExecArray> {
    return await this.#wait(
      () => pattern.exec(this.screen) ?? undefined,
      () => `${pattern} is not on the screen:\n${this.screen}`,
    );
  }

  /** How often it has rung the bell. */
  get bells(): number {
    return this.#written.split("\x07").length - 1;
  }

  /**
   * Waits until something that it wrote makes a look give something.
   *
   * @param look What is looked for; undefined as long as it is not there
   */
  async eventually<T>(look: () => T | undefined): Promise<T> {
    return await this.#wait(look, () => `It is not there:\n${this.screen}`);
  }

  async #wait<T>(look: () => T | undefined, otherwise: () => string): Promise<T> {
    const deadline = AbortSignal.timeout(DEADLINE_MS);
    deadline.addEventListener("abort", () => this.#wake());
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      assert.ok(!deadline.aborted, otherwise());
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Its exit status, once it has ended. */
  async status(): Promise<number> {
    let status: number | undefined;
    this.#ended.then((code) => {
      status = code;
      this.#wake();
    });
    return await this.#wait(() => status, () => `It has not ended:\n${this.screen}`);
  }

  /** Sends it a signal. */
  kill(signal: string): void {
    this.#pty.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#pty.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#ended;
    // What it still has to draw is a timer of its own, which its end does not stop.
    await new Promise<void>((resolve) => this.#screen.write("", resolve));
    this.#screen.dispose();
  }
}
