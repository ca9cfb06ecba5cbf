/**
 * Puts the terminal back when this process dies of what no program can catch, SIGKILL or a crash in
 * native code: a shell waits for that at the end of a pipe, whose other end only this process has.
 *
 * @module
 */
import { terminalModes } from "../../ffi/terminal_modes.ts";

/**
 * It is in the same process group as what it guards, and must outlive what ends that; by then it is in
 * the background, where setting modes would stop it but for TTOU (termios(3)).
 */
const SCRIPT = 'trap "" INT QUIT TERM HUP TTOU; read -r _; stty "$1" </dev/tty';

/** Guards the modes that the terminal has now. */
export class TerminalGuard implements Disposable {
  readonly #shell: Deno.ChildProcess | undefined;

  constructor() {
    const modes = terminalModes();
    if (modes === undefined) return; // no terminal controls this process
    try {
      this.#shell = new Deno.Command("sh", {
        args: ["-c", SCRIPT, "hvsh", modes],
        stdin: "piped",
        stdout: "null",
        stderr: "null",
      }).spawn();
    } catch {
      return; // a host without sh, or without a process to spare, lives without it
    }
    this.#shell.unref();
  }

  /** Lets the terminal be; whoever calls this has put it back. */
  [Symbol.dispose](): void {
    try {
      this.#shell?.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    this.#shell?.stdin.close().catch(() => {});
  }
}
