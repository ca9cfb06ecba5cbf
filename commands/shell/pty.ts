/**
 * A real terminal with the shell on it, for tests: types keys and waits for what it shows.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type IPty, spawn } from "@lydell/node-pty";

const DEADLINE_MS = 20_000;

/** hvsh alone, from its sources. */
const SHELL: readonly [string, ...string[]] = [
  Deno.execPath(),
  ...["run", "-A", "--no-check", "--quiet", new URL("../main.ts", import.meta.url).pathname],
];

/** A shell on a terminal of 80 columns. */
export class ShellOnTerminal implements AsyncDisposable {
  readonly #pty: IPty;
  readonly #ended: Promise<number>;
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
      name: "xterm",
      cols: 80,
      rows: 24,
      cwd,
      env: { ...Deno.env.toObject(), ...environment },
    });
    this.#pty.onData((text) => {
      this.#shown += text;
      this.#wake();
    });
    this.#ended = new Promise((resolve) => this.#pty.onExit(({ exitCode }) => resolve(exitCode)));
  }

  /** Types keys. */
  type(keys: string): void {
    this.#pty.write(keys);
  }

  /** Waits until a text is shown behind the one waited for before; gives what is between. */
  async until(text: string): Promise<string> {
    const deadline = AbortSignal.timeout(DEADLINE_MS);
    deadline.addEventListener("abort", () => this.#wake());
    for (;;) {
      const at = this.#shown.indexOf(text, this.#seen);
      if (at >= 0) {
        const between = this.#shown.slice(this.#seen, at);
        this.#seen = at + text.length;
        return between;
      }
      const rest = JSON.stringify(this.#shown.slice(this.#seen));
      assert.ok(!deadline.aborted, `${JSON.stringify(text)} is not in ${rest}`);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Its exit status, once it has ended. */
  async status(): Promise<number> {
    return await this.#ended;
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
  }
}
