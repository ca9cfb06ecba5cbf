/**
 * Where the last stage of a pipeline writes: the shell's stdout, or a file.
 *
 * @module
 */
import { writeStdout } from "../stdio.ts";
import { type Output, ReaderGone } from "./channel.ts";
import { hostFailure } from "./host_failure.ts";

abstract class ByteOutput implements Output {
  readonly #gone = new AbortController();

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  abstract write(bytes: Uint8Array): Promise<void>;
  abstract close(): Promise<void>;

  emit(value: unknown): Promise<void> {
    return this.print(`${JSON.stringify(value)}\n`);
  }

  print(text: string): Promise<void> {
    return this.write(new TextEncoder().encode(text));
  }

  /** Tells the stage that nobody reads. */
  protected readerGone(): never {
    const reason = new ReaderGone("Nobody reads stdout any more");
    this.#gone.abort(reason);
    throw reason;
  }
}

/** The shell's own stdout, which stays open from line to line. */
export class StdoutOutput extends ByteOutput {
  async write(bytes: Uint8Array): Promise<void> {
    try {
      await writeStdout(bytes);
    } catch (error) {
      // The shell outlives its lines, so it ignores SIGPIPE and gets EPIPE instead.
      if (error instanceof Deno.errors.BrokenPipe) this.readerGone();
      throw error;
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** An open file. */
export class FileOutput extends ByteOutput {
  readonly #file: Deno.FsFile;
  readonly #path: string;

  /**
   * @param file The file, open for writing; closed with the output
   * @param path Its path
   */
  constructor(file: Deno.FsFile, path: string) {
    super();
    this.#file = file;
    this.#path = path;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      try {
        done += await this.#file.write(bytes.subarray(done));
      } catch (error) {
        // The file may be a FIFO.
        if (error instanceof Deno.errors.BrokenPipe) this.readerGone();
        throw hostFailure(error, "write", this.#path);
      }
    }
  }

  close(): Promise<void> {
    this.#file.close();
    return Promise.resolve();
  }
}
