/**
 * c_vmm.c as a process that goes on and measures when it is asked to.
 *
 * @module
 */

const ASK = new TextEncoder().encode("\n");

/** A running c_vmm. */
export class CServer implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #reader: ReadableStreamDefaultReader<string>;

  /**
   * @param program c_vmm.c, compiled
   * @param mode `serve` or `kick`
   * @param guest Path of the guest
   * @param signal Ends it at once
   */
  constructor(program: string, mode: "serve" | "kick", guest: string, signal: AbortSignal) {
    this.#process = new Deno.Command(program, {
      signal,
      args: [mode, guest],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#writer = this.#process.stdin.getWriter();
    this.#reader = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /**
   * Asks for one measurement.
   *
   * @returns The numbers that it answers with, in nanoseconds
   * @throws {Error} If it has ended; its stderr says why
   */
  async ask(): Promise<number[]> {
    await this.#writer.write(ASK);
    let line = "";
    while (!line.endsWith("\n")) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error("c_vmm has ended");
      line += value;
    }
    return line.trim().split(" ").map(Number);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {}); // it may have ended by itself
    await this.#reader.cancel();
    await this.#process.status;
  }
}
