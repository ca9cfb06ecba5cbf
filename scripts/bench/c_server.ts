/**
 * A program of ours in C, as a process that goes on and measures when it is asked to.
 *
 * @module
 */

/** A running program. */
export class CServer implements AsyncDisposable {
  readonly #program: string;
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #reader: ReadableStreamDefaultReader<string>;

  /**
   * @param program Such as c_vmm.c, compiled
   * @param args Its arguments: how it serves, and what
   * @param signal Ends it at once
   */
  constructor(program: string, args: readonly string[], signal: AbortSignal) {
    this.#program = program;
    this.#process = new Deno.Command(program, {
      signal,
      args: [...args],
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
   * @param what What it measures, where it can do several things
   * @returns The numbers that it answers with; times are in nanoseconds
   * @throws {Error} If it has ended; its stderr says why
   */
  async ask(what = ""): Promise<number[]> {
    await this.#writer.write(new TextEncoder().encode(`${what}\n`));
    return (await this.hear()).split(" ").map(Number);
  }

  /**
   * Takes a line that it says.
   *
   * @returns The line, without its end
   * @throws {Error} If it has ended; its stderr says why
   */
  async hear(): Promise<string> {
    let line = "";
    while (!line.endsWith("\n")) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error(`${this.#program} has ended`);
      line += value;
    }
    return line.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {}); // it may have ended by itself
    await this.#reader.cancel();
    await this.#process.status;
  }
}
