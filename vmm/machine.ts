/**
 * A virtual machine: its memory, vCPUs and devices, from its document to its end.
 *
 *     created ── start ──▶ running ◀── resume ── paused
 *        │                    │  └──── pause ────▶ │
 *        └────────────────────┴──▶ ended ◀─────────┘
 *
 * @module
 */
import { VmError } from "../ffi/errors.ts";
import { assembleMachine, type MachineParts } from "./machine_parts.ts";
import type { Kvm } from "../ffi/kvm/kvm.ts";
import type { Vcpu } from "../ffi/kvm/vcpu.ts";
import type { Vm } from "../ffi/kvm/vm.ts";
import { RunOffset } from "../ffi/kvm/structs.ts";
import { installKickHandler, kickThread } from "../ffi/signals.ts";
import { type Arena, Request, VcpuState } from "./arena.ts";
import { Console } from "./console.ts";
import type { Fault } from "./cpu/fault.ts";
import { UNFINISHED } from "./cpu/loop.ts";
import { sprint } from "./cpu/sprint.ts";
import { VcpuThread } from "./cpu/thread.ts";
import type { DeviceSet, DeviceSetPlan } from "./device_set.ts";
import type { VmDocument } from "./document.ts";
import { exitStatus, type VmEnd, type VmEndKind } from "./end.ts";
import type { MachineMemory } from "./memory.ts";
import { DeviceTimers } from "./timers.ts";

/** What a machine does. */
export type MachineState = "created" | "running" | "paused" | "ended";

/** The legal transitions, by the word that asks for them. */
const TRANSITIONS: Readonly<Record<string, readonly MachineState[]>> = {
  start: ["created"],
  pause: ["running"],
  resume: ["paused"],
};

/** How long a reader that does not read holds up the end of a machine that was told to end. */
const SLOW_READER_MILLISECONDS = 500;

/** A virtual machine of this process. */
export class Machine implements AsyncDisposable {
  /** What it was made from. */
  readonly document: VmDocument;
  /** Its serial ports and debug consoles. */
  readonly console: Console;
  /** Resolves when it has ended and its output has been handed over. */
  readonly ended: Promise<VmEnd>;

  readonly #kvm: Kvm;
  readonly #vm: Vm;
  readonly #memory: MachineMemory;
  readonly #vcpus: readonly Vcpu[];
  #threads: readonly VcpuThread[];
  readonly #arena: Arena;
  readonly #plan: DeviceSetPlan;
  readonly #devices: DeviceSet;
  readonly #timers: DeviceTimers;
  readonly #end = Promise.withResolvers<VmEnd>();
  readonly #told = Promise.withResolvers<void>();
  #state: MachineState = "created";
  #endKind: VmEndKind | undefined;
  #settled: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #disposed = false;

  private constructor(parts: MachineParts) {
    this.document = parts.document;
    this.#kvm = parts.kvm;
    this.#vm = parts.vm;
    this.#memory = parts.memory;
    this.#vcpus = parts.vcpus;
    this.#threads = parts.threads;
    this.#arena = parts.arena;
    this.#plan = parts.plan;
    this.#devices = parts.devices;
    const failed = (error: unknown) => this.#fail(error);
    this.#timers = new DeviceTimers(parts.devices, failed);
    this.ended = this.#end.promise;
    this.console = new Console(parts.arena, parts.devices, {
      kernel: parts.document.boot?.kernel !== undefined,
      onPanic: () => this.#arena.stop("panic"),
      onFailure: failed,
    });
  }

  /**
   * Makes a machine, ready to start.
   *
   * @param document What it is
   * @returns The machine; dispose it to free what it holds
   * @throws {DocumentError} If the document contradicts itself
   * @throws {ImageError} If an image is not what it says it is
   * @throws {HostError} If the host can't provide it
   */
  static async create(document: VmDocument): Promise<Machine> {
    return new Machine(await assembleMachine(document));
  }

  /** What it does. */
  get state(): MachineState {
    return this.#state;
  }

  /** Whether its guest has come to an end that `ended` will tell of. */
  get stopping(): boolean {
    return this.#arena.stopping;
  }

  /**
   * Starts it.
   *
   * @param options `paused` has every vCPU wait before its first instruction; `sprint` runs a
   *   machine without interrupt controllers on the calling thread first, for 20 ms at most
   * @throws {VmError} If it was started before
   */
  start(options: { paused?: boolean; sprint?: boolean } = {}): void {
    this.#require("start");
    installKickHandler();
    this.#state = options.paused ? "paused" : "running";
    // With interrupt controllers its thread is there already, and HLT would hold this one up.
    if (options.sprint && !options.paused && !this.#plan.irqchip) {
      const sprinted = this.#sprint();
      if (sprinted !== undefined) {
        this.#settled = this.#finish([sprinted], Promise.resolve());
        return;
      }
    }
    const request = options.paused ? Request.PAUSE : Request.RUN;
    this.#threads = this.#vcpus.map((_, id) => this.#threads[id] ?? VcpuThread.acquire());
    const runs = this.#vcpus.map((vcpu, id) => {
      this.#arena.setRequest(id, request);
      return this.#threads[id]!.run({
        id,
        vcpuFd: vcpu.fd,
        runAddress: vcpu.run.address,
        runSize: vcpu.run.size,
        arena: this.#arena.buffer,
        plan: this.#plan,
      });
    });
    this.#settled = this.#finish(runs, this.#attend());
  }

  /** Runs the first moments on this thread; undefined if the VM goes on. */
  #sprint(): Promise<Fault | undefined> | undefined {
    const { id, fd, run } = this.#vcpus[0]!;
    try {
      const result = sprint({
        id,
        fd,
        run: run.buffer,
        arena: this.#arena,
        devices: this.#devices,
        irqchip: this.#plan.irqchip,
      });
      return result === UNFINISHED ? undefined : Promise.resolve(result);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Pauses it: every vCPU stands between two instructions when this resolves.
   *
   * @throws {VmError} If it does not run
   */
  async pause(): Promise<void> {
    this.#require("pause");
    this.#state = "paused";
    this.#request(Request.PAUSE);
    for (;;) {
      const seen = this.#arena.doorbell;
      // A resume may overtake it, and so may the end.
      if (this.#allPaused() || this.#state !== "paused" || this.#ending) return;
      await this.#arena.doorbellAfter(seen);
    }
  }

  /**
   * Lets a paused machine go on.
   *
   * @throws {VmError} If it is not paused
   */
  resume(): void {
    this.#require("resume");
    this.#state = "running";
    for (let id = 0; id < this.#vcpus.length; id++) this.#arena.setRequest(id, Request.RUN);
    this.#arena.ringDoorbell();
  }

  /**
   * Ends it at once, whatever it does.
   *
   * @param kind What to say of its end
   * @returns How it ended
   */
  stop(kind: "killed" | "timeout" = "killed"): Promise<VmEnd> {
    if (this.#state === "created") {
      this.#state = "ended";
      this.#end.resolve({ kind, status: exitStatus(kind, 0, false) });
    } else if (this.#state !== "ended") {
      this.#endKind ??= kind;
      this.#told.resolve();
      this.#request(Request.STOP);
      this.#arena.ringDoorbell();
    }
    return this.ended;
  }

  /**
   * Does something to a device from outside: `powerbutton` on `pm`, `break` on a serial port.
   *
   * @param device The device's name
   * @param action The action's name
   * @returns False if there is no such device or action
   */
  act(device: string, action: string): boolean {
    const open = this.#devices.devices.find(({ name }) => name === device);
    return open !== undefined &&
      this.#devices.locked(open, (d) => d.action?.(action) ?? false);
  }

  /** Ends it if it still runs, and frees everything it holds. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.stop();
    await this.#settled;
    this.#timers.clear();
    this.#devices.close();
    for (const vcpu of this.#vcpus) vcpu[Symbol.dispose]();
    this.#vm[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
    this.#kvm[Symbol.dispose]();
    for (const thread of this.#threads) thread.release();
  }

  #require(word: keyof typeof TRANSITIONS): void {
    if (TRANSITIONS[word]!.includes(this.#state)) return;
    throw new VmError(`Cannot ${word} a VM that is ${this.#state}`);
  }

  /** Whether it comes to its end, by itself or because it was told to. */
  get #ending(): boolean {
    return this.#arena.stopping || this.#endKind !== undefined;
  }

  #allPaused(): boolean {
    return this.#vcpus.every((_, id) => this.#arena.vcpuState(id) === VcpuState.PAUSED);
  }

  /** Has every vCPU look at its request word soon, wherever it is. */
  #request(request: number): void {
    for (const [id, vcpu] of this.#vcpus.entries()) {
      this.#arena.setRequest(id, request);
      Atomics.store(new Uint8Array(vcpu.run.buffer), RunOffset.immediate_exit, 1);
      const tid = this.#arena.threadId(id);
      if (tid !== 0) kickThread(tid);
    }
    this.#arena.announceProgress();
  }

  /** Ends it because something on this thread failed, which `ended` will tell of. */
  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.stop();
  }

  /** Serves the doorbell until the machine stops. */
  async #attend(): Promise<void> {
    try {
      for (;;) {
        const seen = this.#arena.doorbell;
        this.console.pump();
        this.#timers.arm();
        if (this.#ending) return;
        await this.#arena.doorbellAfter(seen);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  async #finish(runs: Promise<Fault | undefined>[], attended: Promise<void>): Promise<void> {
    try {
      // One vCPU's end is everybody's, and so is its failure.
      await Promise.race([attended, Promise.all(runs)]).catch(() => {});
      this.#endKind ??= "killed";
      this.#request(Request.STOP);
      this.#arena.ringDoorbell();
      await Promise.allSettled(runs);
      this.#timers.clear();
      // The last words of a VM that failed count most.
      await this.#drain().catch((error) => this.#failure ??= { error });
      const faults = await Promise.all(runs);
      if (this.#failure !== undefined) throw this.#failure.error;
      this.#state = "ended";
      const reason = this.#arena.stopReason;
      const kind = reason?.kind ?? this.#endKind ?? "killed";
      const fault = faults.find((f) => f !== undefined);
      this.#end.resolve({
        kind,
        status: exitStatus(kind, reason?.status ?? 0, this.console.panicked),
        ...(fault === undefined ? {} : { fault }),
      });
    } catch (error) { // `ended` carries the failure
      this.#state = "ended";
      this.#end.reject(error);
    }
  }

  /** Hands over what is left; once it was told to end, not to a reader that does not read. */
  async #drain(): Promise<void> {
    const drained = this.console.drain();
    if (await Promise.race([drained, this.#told.promise.then(() => "told")]) !== "told") return;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, SLOW_READER_MILLISECONDS);
    try {
      await Promise.race([drained, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}
