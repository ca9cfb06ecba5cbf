/**
 * A VM that runs in this process, as a program or a test uses it.
 *
 * @module
 */
import type { DeviceEntry, VmDocument } from "../../vmm/document.ts";
import type { VmEnd } from "../../vmm/end.ts";
import type { RegisterValues } from "../../vmm/debug/register_files.ts";
import type { Machine, MachineState } from "../../vmm/machine.ts";
import { VmConsole } from "./vm_console.ts";
import { VmMemory } from "./vm_memory.ts";
import { readRegisters, type RegisterOptions, writeRegisters } from "./vm_registers.ts";
import { VmWatch } from "./vm_watch.ts";

/** A VM of this process; `await using` ends it and frees what it holds. */
export class Vm implements AsyncDisposable {
  /** Its first serial port and debug consoles. */
  readonly console: VmConsole;
  /** Its memory. */
  readonly memory: VmMemory;
  /** Its exits, its figures, and where its vCPUs stand. */
  readonly watch: VmWatch;
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
    this.memory = new VmMemory(machine);
    this.watch = new VmWatch(machine);
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
   * Reads the registers of a vCPU, which is held for that moment.
   *
   * @param names Names or groups of them, as for `hvsh regs`; general, segment and control registers if
   *   left out
   * @param options Which vCPU, 0 if left out
   * @returns Values by name, unsigned
   * @throws {VmError} If there is no such register or vCPU, or the VM has ended
   * @example
   * ```ts
   * import { create } from "../../mod.ts";
   * import assert from "node:assert/strict";
   *
   * const spin = Uint8Array.of(0xeb, 0xfe); // jmp $
   * await using vm = await create({ memory: "1M" }).flat(spin).start();
   * await vm.setRegs({ rbx: 0x1234n, "msr_0x174": 8n });
   * const { rip, rbx } = await vm.regs(["general"]);
   * assert.deepEqual([rip, rbx], [0x7c00n, 0x1234n]);
   * assert.equal((await vm.regs(["sysenter_cs"])).sysenter_cs, 8n);
   * ```
   */
  regs(names: readonly string[] = [], options: RegisterOptions = {}): Promise<RegisterValues> {
    return readRegisters(this.#machine, names, options);
  }

  /**
   * Writes registers of a vCPU: all of them, or none.
   *
   * @param values Values by name, unsigned
   * @param options Which vCPU, 0 if left out
   * @throws {VmError} If there is no such register or vCPU, or KVM refuses a value
   */
  async setRegs(values: RegisterValues, options: RegisterOptions = {}): Promise<void> {
    await writeRegisters(this.#machine, values, options);
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
