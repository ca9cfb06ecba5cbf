/**
 * The thread that brings a machine's memory, as the machine's own thread sees it.
 *
 * @module
 */
import { EventFd } from "../../../ffi/eventfd.ts";
import { DocumentError, type HvshError, VmError } from "../../../ffi/errors.ts";
import type { StateRecord } from "./fill.ts";
import { type FillOrder, type FillReport, Phase, Word } from "./fill_protocol.ts";

/** `deno task build` gives the Worker a folder of its own. */
const WORKER = import.meta.url.endsWith(".ts")
  ? "./fill_worker.ts"
  : "../fill_worker/fill_worker.js";

/** Where a state comes from. */
export interface ArrivingSource {
  /** A descriptor of a stream or of a file with one, which becomes the thread's. */
  readonly fd: number;
  /** What it is, for errors. */
  readonly path: string;
  /** Take records that somebody has changed as they are. */
  readonly edited: boolean;
  /** Records of a file that are to be read first; `new` if they are to be found out. */
  readonly workingSet?: readonly string[] | "new";
}

/** One fill's thread. */
export class FillThread implements AsyncDisposable {
  /** The state's records, but for memory. */
  readonly state: Promise<readonly StateRecord[]>;
  /** Resolves when all of memory is there, with the records that were asked for, if that is to be known. */
  readonly filled: Promise<readonly string[]>;
  readonly #worker: Worker;
  readonly #stop = new EventFd();
  readonly #words = new Int32Array(new SharedArrayBuffer(12));
  readonly #state = Promise.withResolvers<readonly StateRecord[]>();
  readonly #filled = Promise.withResolvers<readonly string[]>();
  readonly #ended = Promise.withResolvers<void>();

  /** @param source What it is to read */
  constructor(source: ArrivingSource) {
    this.state = this.#state.promise;
    this.filled = this.#filled.promise;
    this.filled.catch(() => {}); // whoever waits for the state hears of it there
    this.#worker = new Worker(new URL(WORKER, import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<FillReport>) => this.#take(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#failed(new VmError(`The thread that brings memory: ${event.message}`));
      this.#ended.resolve();
    };
    this.tell({ kind: "read", ...source, stop: this.#stop.fd, words: this.#words });
  }

  /** Tells it what to do. */
  tell(order: FillOrder): void {
    this.#worker.postMessage(order);
  }

  /**
   * The machine may run from now on.
   *
   * @returns False if memory will not come
   */
  run(): boolean {
    return Atomics.compareExchange(this.#words, Word.PHASE, Phase.MADE, Phase.RUNS) === Phase.MADE;
  }

  /** Has it end soon, whatever it has not done. */
  stop(): void {
    if (Atomics.exchange(this.#words, Word.STOPPED, 1) === 1) return;
    this.#stop.signal();
    this.tell({ kind: "end" });
  }

  #take(report: FillReport): void {
    switch (report.kind) {
      case "state":
        return this.#state.resolve(report.records);
      case "filled":
        return this.#filled.resolve(report.workingSet);
      case "failed": {
        Atomics.store(this.#words, Word.HEARD, 1);
        Atomics.notify(this.#words, Word.HEARD);
        const { message, hint } = report;
        const Class = report.document ? DocumentError : VmError;
        return this.#failed(new Class(message, hint === undefined ? {} : { hint }));
      }
      case "ended":
        this.#failed(new VmError("The VM has been given up before its memory was there"));
        return this.#ended.resolve();
    }
  }

  #failed(error: HvshError): void {
    this.#state.promise.catch(() => {});
    this.#state.reject(error);
    this.#filled.reject(error);
  }

  /** Ends it, and waits for that. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await this.#ended.promise;
    this.#stop[Symbol.dispose]();
  }
}
