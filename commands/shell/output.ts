/**
 * Where a stage writes that does not write to another verb: a descriptor, which programs may share.
 *
 * @module
 */
import { writeAll } from "../../ffi/descriptor_io.ts";
import { Errno } from "../../ffi/errno.ts";
import { HostError } from "../../ffi/errors.ts";
import { type Output, ReaderGone } from "./channel.ts";

/** A descriptor that stays its owner's. */
export class DescriptorOutput implements Output {
  readonly #descriptor: number | undefined;
  readonly #name: string;
  readonly #signal: AbortSignal;
  readonly #gone = new AbortController();
  readonly #encoder = new TextEncoder();

  /**
   * @param descriptor The descriptor; undefined if it is closed
   * @param name What it is, for errors
   * @param signal Ends a write that waits for its reader
   */
  constructor(descriptor: number | undefined, name: string, signal: AbortSignal) {
    this.#descriptor = descriptor;
    this.#name = name;
    this.#signal = signal;
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  emit(value: unknown): Promise<void> {
    return this.print(`${JSON.stringify(value)}\n`);
  }

  print(text: string): Promise<void> {
    return this.write(this.#encoder.encode(text));
  }

  async write(bytes: Uint8Array): Promise<void> {
    const path = this.#name;
    if (this.#descriptor === undefined) throw new HostError("write", Errno.EBADF, { path });
    try {
      await writeAll(this.#descriptor, bytes, this.#signal);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      // The shell outlives its lines, so it ignores SIGPIPE and gets EPIPE instead.
      if (error.errno === Errno.EPIPE) {
        const reason = new ReaderGone("Nobody reads any more");
        this.#gone.abort(reason);
        throw reason;
      }
      throw new HostError("write", error.errno, { path, cause: error });
    }
    this.#signal.throwIfAborted();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
