/**
 * A verb's context when it is a process of its own: its streams are the process's.
 *
 * @module
 */
import { readObjects } from "./document_input.ts";
import { clearLine } from "./progress/drawn_line.ts";
import { stdinChunks, writeConsole, writeStdout } from "./stdio.ts";
import { showsProgress, terminalLook } from "./terminal_look.ts";
import type { PersonTerminal, TerminalLook, VerbContext } from "./verb.ts";

/** The process's own streams. */
export class ProcessContext implements VerbContext {
  readonly #encoder = new TextEncoder();
  readonly stdin = 0;
  readonly stdout = 1;
  /** Never aborts: when the reader is gone SIGPIPE ends the process, and ^C does too. */
  readonly signal = new AbortController().signal;

  get input(): AsyncIterable<unknown> | undefined {
    return Deno.stdin.isTerminal() ? undefined : readObjects(stdinChunks());
  }

  get bytes(): AsyncIterable<Uint8Array> | undefined {
    return Deno.stdin.isTerminal() ? undefined : stdinChunks();
  }

  get terminal(): PersonTerminal | undefined {
    const seen = Deno.stdout.isTerminal();
    if (Deno.stdin.isTerminal()) {
      return seen ? Deno.stdin : { read: (buffer) => Deno.stdin.read(buffer) };
    }
    if (!seen) return undefined;
    try {
      return Deno.openSync("/dev/tty");
    } catch {
      return undefined; // no terminal controls this process
    }
  }

  get forPerson(): boolean {
    return Deno.stdout.isTerminal();
  }

  get look(): TerminalLook | undefined {
    return this.forPerson ? terminalLook() : undefined;
  }

  get progress(): boolean {
    return showsProgress();
  }

  get cwd(): string {
    return Deno.cwd();
  }

  async emit(value: unknown): Promise<void> {
    await this.print(`${JSON.stringify(value)}\n`);
  }

  async print(text: string): Promise<void> {
    const bytes = this.#encoder.encode(text);
    try {
      await writeStdout(bytes);
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      // A filter whose reader is gone dies of SIGPIPE, silently. Opening the C library only now keeps
      // it out of the start of every stage; the write that is tried again raises the signal.
      (await import("../ffi/signals.ts")).restoreSigpipe();
      await writeStdout(bytes);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    await writeConsole(bytes); // a VM whose reader is gone has to be ended before the process
  }

  note(text: string): void {
    clearLine();
    console.error(text);
  }
}
