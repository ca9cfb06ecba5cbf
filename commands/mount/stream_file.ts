/**
 * Files whose bytes come as they come. Each open of one is a reader of its own.
 *
 * Opened for reading and writing, as `<>` does and terminal programs do, one waits for what comes next.
 * Opened for reading alone it ends where nothing more is there at the moment, so that `cat` and `grep -r`
 * come to an end; `tail -f` reads on there, since the file's time of change says that there is more.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { type Access, type Asker, FileError, type OpenFile, PollEvent } from "./node.ts";

/** A stream's bytes; `"current"` says that what follows has not happened yet. */
export type StreamSource = (signal: AbortSignal) => AsyncIterable<Uint8Array | "current">;

/** What may wait for a reader before its source has to. */
const MOST_WAITING = 2 ** 20;
/** How long one who does not wait is given something in. */
const LOOK_MILLISECONDS = 200;

/** How a stream is read. */
export interface StreamOptions {
  /** How it was opened. */
  readonly access: Access;
  /** It has an end that every reader waits for. */
  readonly whole?: boolean;
  /** One who does not wait is shown what comes in this moment. */
  readonly look?: boolean;
  /** Called when something has come, with how many bytes there have been. */
  readonly came: (bytes: number) => void;
  /** Called when it is closed. */
  readonly closed: () => void;
  /** Turns what its source threw into what its reader is told. */
  readonly failure: (error: unknown) => FileError;
}

/** One reader of a stream. */
export class OpenStream implements OpenFile {
  readonly stream = true;
  readonly #source: StreamSource;
  readonly #options: StreamOptions;
  readonly #waits: boolean;
  readonly #over = new AbortController();
  readonly #pollers = new Set<() => void>();
  #pieces: Uint8Array[] = [];
  #waiting = 0;
  /** How many bytes have come, and been read. */
  #came = 0;
  #read = 0;
  /** Of one who does not wait: where it ends this time. */
  #batch: number | undefined;
  #state: "new" | "before" | "current" | "ended" = "new";
  #error: FileError | undefined;
  #change = Promise.withResolvers<void>();

  /**
   * @param source Its bytes
   * @param options How it is read
   */
  constructor(source: StreamSource, options: StreamOptions) {
    this.#source = source;
    this.#options = options;
    this.#waits = options.access.write || options.whole === true;
  }

  /** Waits until nothing that happens from then on is missed. */
  async ready(asker: Asker): Promise<void> {
    if (this.#options.whole === true) return;
    this.#begin();
    while (this.#state === "before" && this.#waiting < MOST_WAITING) await this.#changed(asker);
    this.#throwAtEnd();
  }

  async read(_position: bigint, size: number, asker: Asker): Promise<Uint8Array> {
    this.#begin();
    const most = this.#waits ? size : Math.min(size, await this.#leftOfBatch(asker));
    if (most === 0) {
      this.#batch = undefined;
      this.#throwAtEnd();
      return new Uint8Array(0);
    }
    while (this.#waiting === 0) {
      this.#throwAtEnd();
      if (this.#state === "ended") return new Uint8Array(0);
      // What has an end comes as fast as it can: nobody need look again later.
      if (this.#options.access.nonBlocking && this.#options.whole !== true) {
        throw new FileError(Errno.EAGAIN);
      }
      await this.#changed(asker);
    }
    return this.#take(most);
  }

  poll(changed?: () => void): number {
    this.#begin();
    if (changed !== undefined) this.#pollers.add(changed);
    const over = this.#state === "ended";
    const out = this.#options.access.write ? PollEvent.OUT : 0;
    return out | (this.#waiting > 0 || over ? PollEvent.IN : 0) | (over ? PollEvent.HUP : 0);
  }

  close(): void {
    this.#over.abort();
    this.#changeNow();
    this.#options.closed();
  }

  #begin(): void {
    if (this.#state !== "new") return;
    this.#state = "before";
    this.#run();
  }

  async #run(): Promise<void> {
    try {
      for await (const piece of this.#source(this.#over.signal)) {
        if (piece === "current") this.#state = "current";
        else this.#push(piece);
        this.#changeNow();
        while (this.#waiting > MOST_WAITING && !this.#over.signal.aborted) {
          await this.#change.promise;
        }
        if (this.#over.signal.aborted) return;
      }
    } catch (error) {
      if (!this.#over.signal.aborted) this.#error = this.#options.failure(error);
    } finally {
      this.#state = "ended";
      this.#options.came(this.#came);
      this.#changeNow();
    }
  }

  #push(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.#waiting += piece.length;
    this.#came += piece.length;
    this.#options.came(this.#came);
  }

  #take(size: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(size, this.#waiting));
    for (let at = 0; at < bytes.length;) {
      const piece = this.#pieces[0]!;
      const part = piece.subarray(0, bytes.length - at);
      bytes.set(part, at);
      at += part.length;
      if (part.length === piece.length) this.#pieces.shift();
      else this.#pieces[0] = piece.subarray(part.length);
    }
    this.#waiting -= bytes.length;
    this.#read += bytes.length;
    this.#changeNow();
    return bytes;
  }

  /** What is there at the moment is a batch; the next one begins where it was read to its end. */
  async #leftOfBatch(asker: Asker): Promise<number> {
    if (this.#batch === undefined) {
      const end = Date.now() + LOOK_MILLISECONDS;
      while (this.#state === "before") await this.#changed(asker);
      while (this.#options.look === true && this.#state !== "ended" && Date.now() < end) {
        await this.#changed(asker, end - Date.now());
        if (this.#waiting > MOST_WAITING) break;
      }
      this.#batch = this.#came;
    }
    return this.#batch - this.#read;
  }

  #throwAtEnd(): void {
    if (this.#waiting === 0 && this.#error !== undefined) throw this.#error;
  }

  #changeNow(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
    if (this.#waiting === 0 && this.#state !== "ended") return;
    for (const changed of this.#pollers) changed();
    this.#pollers.clear();
  }

  /** Waits until something has changed, or for so many milliseconds. */
  async #changed({ signal }: Asker, milliseconds?: number): Promise<void> {
    const stopped = Promise.withResolvers<void>();
    const interrupted = () => stopped.reject(new FileError(Errno.EINTR));
    if (signal.aborted) interrupted();
    signal.addEventListener("abort", interrupted);
    const timer = milliseconds === undefined
      ? undefined
      : setTimeout(stopped.resolve, milliseconds);
    try {
      await Promise.race([this.#change.promise, stopped.promise]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", interrupted);
    }
  }
}
