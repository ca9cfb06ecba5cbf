/**
 * A VM that runs in this process, as a program or a test uses it.
 *
 * @module
 */
import type { VmDocument } from "../../vmm/document.ts";
import type { VmEnd } from "../../vmm/end.ts";
import type { Machine, MachineState } from "../../vmm/machine.ts";
import { VmConsole } from "./vm_console.ts";

/** A VM of this process; `await using` ends it and frees what it holds. */
export class Vm implements AsyncDisposable {
  /** Its first serial port and debug consoles. */
  readonly console: VmConsole;
  /** Resolves when it has ended. */
  readonly ended: Promise<VmEnd>;
  readonly #machine: Machine;

  /**
   * @param machine The machine, not started
   * @param options `paused` has it wait before its first instruction
   */
  constructor(machine: Machine, options: { paused?: boolean }) {
    this.#machine = machine;
    this.ended = machine.ended;
    this.console = new VmConsole(machine);
    machine.start(options);
  }

  /** What it was made from. */
  get document(): VmDocument {
    return this.#machine.document;
  }

  /** What it does. */
  get state(): MachineState {
    return this.#machine.state;
  }

  /**
   * Pauses it: every vCPU stands between two instructions when this resolves.
   *
   * @throws {VmError} If it does not run
   */
  async pause(): Promise<void> {
    await this.#machine.pause();
  }

  /**
   * Lets it go on.
   *
   * @throws {VmError} If it is not paused
   */
  resume(): void {
    this.#machine.resume();
  }

  /** Ends it at once and says how it ended. */
  async kill(): Promise<VmEnd> {
    return await this.#machine.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#machine[Symbol.asyncDispose]();
  }
}
