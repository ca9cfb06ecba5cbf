/**
 * Copies of a VM of this process, as a fuzzer makes them: many, soon.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import type { Machine } from "../../vmm/machine.ts";
import { forkMachine, type ForkOptions, type ForkSource } from "../../vmm/state/fork.ts";
import type { Vm } from "./vm.ts";

/** How a copy is made. */
export interface ForkVmOptions extends ForkOptions {
  /** It waits for `resume` before its next instruction. Default false. */
  readonly paused?: boolean;
}

/** Copies of one VM as it was when the pool was made; `await using` frees those that nobody took. */
export class ForkPool implements AsyncDisposable {
  readonly #source: ForkSource;
  readonly #open: (machine: Machine, options: { paused?: boolean }) => Vm;
  readonly #ready: Machine[] = [];
  #disposed = false;

  /**
   * @param source What copies are made from
   * @param open Makes a VM of a machine, and starts it
   */
  constructor(
    source: ForkSource,
    open: (machine: Machine, options: { paused?: boolean }) => Vm,
  ) {
    this.#source = source;
    this.#open = open;
  }

  /** Copies that wait to be taken. */
  get ready(): number {
    return this.#ready.length;
  }

  /**
   * Makes copies ahead of their use.
   *
   * @param count How many shall be ready
   * @throws {HostError} If the host can't provide them
   * @throws {VmError} If the pool was disposed of
   */
  async prepare(count: number): Promise<void> {
    while (this.#ready.length < count) {
      const machine = await this.#make();
      this.#ready.push(machine);
      await machine.warmUp();
    }
  }

  /**
   * Takes a copy that is ready, or makes one; one with a name or settings of its own is always made.
   *
   * @param options How
   * @returns The copy; dispose it to end it
   * @throws {HostError} If the host can't provide it
   * @throws {VmError} If the pool was disposed of
   */
  async fork({ paused = false, ...own }: ForkVmOptions = {}): Promise<Vm> {
    const ready = Object.keys(own).length === 0 ? this.#ready.pop() : undefined;
    return this.#open(ready ?? await this.#make(own), { paused });
  }

  async #make(own?: ForkOptions): Promise<Machine> {
    if (this.#disposed) throw new VmError("The copies' source was disposed of");
    return await forkMachine(this.#source, own);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#source[Symbol.dispose]();
    for (const machine of this.#ready.splice(0)) await machine[Symbol.asyncDispose]();
  }
}
