/**
 * A VMM's process whose guest is talked to by lines on its serial port.
 *
 * @module
 */
import type { Subject } from "./result.ts";

const LINE = /^([^\n]*)\n/;

/** The process. */
export class VmmProcess implements AsyncDisposable {
  /** Who it is. */
  readonly subject: Subject;
  readonly #limit: number;
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #said: Promise<string>;
  #text = "";

  /**
   * @param subject Who it is
   * @param command Program and arguments; the guest's serial port is its stdin and stdout
   * @param limit Milliseconds that a line may take; it is killed then
   * @param signal Ends it at once
   */
  constructor(
    subject: Subject,
    [program, ...args]: readonly string[],
    limit: number,
    signal: AbortSignal,
  ) {
    this.subject = subject;
    this.#limit = limit;
    const streams = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
    this.#process = new Deno.Command(program!, { args, signal, ...streams }).spawn();
    this.#writer = this.#process.stdin.getWriter();
    this.#reader = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#said = new Response(this.#process.stderr).text();
  }

  /**
   * Sends the guest a line.
   *
   * @param line The line, without its end
   */
  async say(line: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${line}\n`));
  }

  /**
   * Waits for a line of the guest.
   *
   * @returns The line, without its end
   * @throws {Error} With the VMM's words, if it ends or takes too long
   */
  async line(): Promise<string> {
    const limit = setTimeout(() => this.#process.kill("SIGKILL"), this.#limit);
    try {
      for (;;) {
        const found = LINE.exec(this.#text);
        if (found !== null) {
          this.#text = this.#text.slice(found[0].length);
          return found[1]!;
        }
        const { value, done } = await this.#reader.read();
        if (done) {
          const said = (await this.#said).trim();
          throw new Error(`The guest in ${this.subject} is gone, or said nothing: ${said}`);
        }
        this.#text += value;
      }
    } finally {
      clearTimeout(limit);
    }
  }

  /** Has it stand still, all of it. */
  stop(): void {
    this.#process.kill("SIGSTOP");
  }

  /** Lets it go on. */
  go(): void {
    this.#process.kill("SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGTERM");
      this.go();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended already
    }
    await this.#writer.abort().catch(() => {}); // nobody reads it any more
    await this.#reader.cancel().catch(() => {}); // its end may have been an error
    await this.#process.status;
    await this.#said;
  }
}
