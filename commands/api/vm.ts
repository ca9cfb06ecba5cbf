/**
 * A VM that runs in this process, as a program or a test uses it.
 *
 * @module
 */
import type { DeviceEntry, VmDocument } from "../../vmm/document.ts";
import type { VmEnd } from "../../vmm/end.ts";
import type { RegisterValues } from "../../vmm/debug/register_files.ts";
import type { Machine, MachineState } from "../../vmm/machine.ts";
import { forkSource } from "../../vmm/state/fork.ts";
import { EventLog, type VmEvent } from "../live/event_log.ts";
import { powerOff } from "../live/power_off.ts";
import { ForkPool, type ForkVmOptions } from "./fork_pool.ts";
import type { EventOptions } from "./live_vm.ts";
import { VmConsole } from "./vm_console.ts";
import { VmMemory } from "./vm_memory.ts";
import { readRegisters, type RegisterOptions, writeRegisters } from "./vm_registers.ts";
import { VmWatch } from "./vm_watch.ts";
import { streamOf } from "./vm_stream.ts";
import { ownSource } from "./watch_source.ts";

/** Seconds that a guest is waited for. */
const SECONDS = 30;

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
  readonly #events: EventLog;

  /**
   * @param machine The machine, not started
   * @param options `paused` has it wait before its first instruction
   */
  constructor(machine: Machine, options: { paused?: boolean }) {
    this.#machine = machine;
    this.ended = machine.ended;
    this.console = new VmConsole(machine);
    this.#events = new EventLog(machine);
    this.memory = new VmMemory(machine);
    this.watch = new VmWatch(ownSource(machine));
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
   * Starts it anew in place, as its reset button would. A paused one stays paused.
   *
   * @throws {HvshError} If an image can't be read any more; the VM has ended then
   */
  async reset(): Promise<void> {
    await this.#machine.reset();
  }

  /**
   * Presses its power button, and ends it if it does not end by itself.
   *
   * @param options `seconds` is how long to wait for the guest. Default 30
   * @returns How it ended
   */
  async stop(options: { seconds?: number } = {}): Promise<VmEnd> {
    const { seconds = SECONDS } = options;
    // Nobody aborts it, so it comes to an end.
    return (await powerOff(this.#machine, seconds, new AbortController().signal))!;
  }

  /**
   * What happens to it, what was before first.
   *
   * @param options Which events
   * @returns Each event
   */
  async *events(options: EventOptions = {}): AsyncGenerator<VmEvent> {
    const { since = 0, follow = true, signal = new AbortController().signal } = options;
    using reader = this.#events.read(since);
    yield* reader.take();
    while (follow) {
      const events = await reader.next(signal);
      if (events === undefined) return;
      yield* events;
    }
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

  /**
   * Its whole state as a stream, which `restore`, `hvsh restore` and tar read. It stands until the stream
   * has been read, and goes on then.
   *
   * @returns The stream; it fails if the VM ends meanwhile
   */
  snapshot(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return streamOf(this.#machine);
  }

  /**
   * Makes a copy that goes on from where it is. Memory is shared until one of them writes to it.
   *
   * @param options Its name, settings of its devices, and whether it waits for `resume`
   * @returns The copy; dispose it to end it
   * @throws {VmError} If it writes to disks and is not paused
   * @throws {HostError} If the host can't provide it
   * @example
   * ```ts
   * import { create } from "../../mod.ts";
   * import assert from "node:assert/strict";
   *
   * const spin = Uint8Array.of(0xeb, 0xfe); // jmp $
   * await using vm = await create({ memory: "64M" }).flat(spin).start();
   * await using copy = await vm.fork();
   * await copy.memory.write(0x2000, new TextEncoder().encode("mine"));
   * assert.deepEqual(await vm.memory.read(0x2000, 4), new Uint8Array(4));
   * ```
   */
  async fork(options: ForkVmOptions = {}): Promise<Vm> {
    await using pool = await this.forks();
    return await pool.fork(options);
  }

  /**
   * Makes it ready for many copies.
   *
   * @returns Copies as it is now; it may go on, unless it writes to disks
   * @throws {VmError} If it writes to disks and is not paused
   */
  async forks(): Promise<ForkPool> {
    const open = (machine: Machine, options: { paused?: boolean }) => new Vm(machine, options);
    return new ForkPool(await forkSource(this.#machine), open);
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
