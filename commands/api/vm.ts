/**
 * A VM that runs in this process, as a program or a test uses it.
 *
 * @module
 */
import type { DeviceEntry, VmDocument } from "../../vmm/document.ts";
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

  /**
   * Plugs a device into its PCI bus.
   *
   * @param entry As in a document's `devices`: `{ type: "disk", path: "/data.img" }`
   * @returns The device's name
   * @throws {DocumentError} If it is no such device, or its entry is wrong
   */
  async attach(entry: DeviceEntry): Promise<string> {
    return await this.#machine.attach(entry);
  }

  /**
   * Has the guest let a device of the PCI bus go, and takes it away.
   *
   * @param name The device's name
   * @param options `signal` aborts the wait for the guest
   * @throws {VmError} If there is no such device, or the guest does not let it go
   */
  async detach(name: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#machine.detach(name, options.signal);
  }

  /**
   * Tells a device to do something: `resize` to a disk, `link` to a net, `powerbutton` to `pm`.
   *
   * @param device The device's name
   * @param action What it is to do
   * @param value With what
   * @returns False if there is no such device or action
   */
  act(device: string, action: string, value?: string): boolean {
    return this.#machine.act(device, action, value);
  }

  /** What its devices have counted since its start, by device and name. */
  stats(): Record<string, Readonly<Record<string, number>>> {
    return this.#machine.stats();
  }

  /** Ends it at once and says how it ended. */
  async kill(): Promise<VmEnd> {
    return await this.#machine.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#machine[Symbol.asyncDispose]();
  }
}
