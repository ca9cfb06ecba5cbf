/**
 * Memory that comes while its machine runs, as the machine's own thread sees it.
 *
 * @module
 */
import { closeFile } from "../../../ffi/files.ts";
import { Userfaultfd } from "../../../ffi/userfaultfd.ts";
import type { StateRecord } from "./fill.ts";
import { type ArrivingSource, FillThread } from "./fill_thread.ts";
import type { ArrivingRegion } from "./page_giver.ts";

/** Memory that comes by itself, and what somebody waits for as soon as it can. */
export class ArrivingMemory implements AsyncDisposable {
  /** The state's records, but for memory. */
  readonly state: readonly StateRecord[];
  /**
   * Resolves when all of it is there. When it rejects it never will be: threads that wait for pages wait
   * on, since they might write what is not the guest's to a disk, and the process is to be ended.
   */
  readonly filled: Promise<void>;
  /** With that, the records that were asked for, in that order, if that was to be known. */
  readonly workingSet: Promise<readonly string[]>;
  readonly #thread: FillThread;
  readonly #faults: Userfaultfd;
  #disposed: Promise<void> | undefined;
  #regions: readonly ArrivingRegion[] = [];

  private constructor(thread: FillThread, faults: Userfaultfd, state: readonly StateRecord[]) {
    this.#thread = thread;
    this.#faults = faults;
    this.state = state;
    this.workingSet = thread.filled;
    this.filled = thread.filled.then(() => {});
    this.filled.catch(() => {}); // whoever looks at it hears of it
  }

  /**
   * Reads a state up to its memory.
   *
   * @param source Where it is
   * @throws {DocumentError} Naming the record at fault
   * @throws {HostError} If this user may not have others wait for memory
   */
  static async open(source: ArrivingSource): Promise<ArrivingMemory> {
    await using stack = new AsyncDisposableStack();
    const unread = stack.use(new DisposableStack());
    unread.defer(() => closeFile(source.fd));
    const faults = stack.use(Userfaultfd.open());
    unread.move();
    const thread = stack.use(new FillThread(source));
    const state = await thread.state;
    stack.move();
    return new ArrivingMemory(thread, faults, state);
  }

  /**
   * Has pages come into memory that is still all missing.
   *
   * @param regions The machine's regions, each a mapping of a memfd
   */
  fill(regions: readonly ArrivingRegion[]): void {
    for (const { address, size } of regions) this.#faults.register(address, size);
    this.#regions = regions;
    this.#thread.tell({ kind: "fill", faults: this.#faults.fd, regions });
    this.filled.then(() => this.#regions = [], () => {});
  }

  /**
   * The machine may run from now on.
   *
   * @throws {HvshError} If its memory has been found not to come
   */
  async run(): Promise<void> {
    if (!this.#thread.run()) await this.filled;
  }

  /** Has everybody go on who waits: what has not come is zero. For a machine that is given up. */
  letGo(): void {
    const regions = this.#regions;
    this.#regions = [];
    this.#thread.stop();
    for (const { address, size } of regions) this.#faults.unregister(address, size);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.letGo();
    await (this.#disposed ??= this.#dispose());
  }

  async #dispose(): Promise<void> {
    await this.#thread[Symbol.asyncDispose]();
    this.#faults[Symbol.dispose]();
  }
}
