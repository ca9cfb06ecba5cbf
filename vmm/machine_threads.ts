/**
 * The threads of one machine: a vCPU each, and the I/O threads that serve its devices.
 *
 * @module
 */
import type { Vcpu } from "../ffi/kvm/vcpu.ts";
import { RunOffset } from "../ffi/kvm/structs.ts";
import { installKickHandler, kickThread } from "../ffi/signals.ts";
import { type Arena, Request, VcpuState } from "./arena.ts";
import type { Fault } from "./cpu/fault.ts";
import type { DeviceSetPlan, EventSink } from "./device_set.ts";
import { signalEventFd } from "./io_event.ts";
import { type DeviceChange, MachineThread } from "./threads/thread.ts";

/** Everything that runs a machine's guest and its devices. */
export class MachineThreads implements Disposable {
  readonly #arena: Arena;
  readonly #vcpus: readonly Vcpu[];
  readonly #event: EventSink;
  readonly #threads: MachineThread[];
  readonly #io: MachineThread[] = [];
  #ioRuns: Promise<unknown>[] = [];
  #ioFds: readonly number[] = [];
  #running = false;

  /**
   * @param arena The VM's shared state
   * @param vcpus Its vCPUs
   * @param ahead Threads that were started ahead; they are this object's to give back
   * @param event Told of what happens to a device
   */
  constructor(
    arena: Arena,
    vcpus: readonly Vcpu[],
    ahead: readonly MachineThread[],
    event: EventSink,
  ) {
    this.#arena = arena;
    this.#vcpus = vcpus;
    this.#threads = [...ahead];
    this.#event = event;
  }

  /**
   * Starts every vCPU.
   *
   * @param plan The devices
   * @param request What they are asked to do first, a {@linkcode Request}
   * @returns For each vCPU what it ran into, once the VM stops
   */
  startVcpus(plan: DeviceSetPlan, request: number): Promise<Fault | undefined>[] {
    installKickHandler();
    this.#running = true;
    return this.#vcpus.map((vcpu, id) => {
      this.#arena.setRequest(id, request);
      const thread = this.#threads[id] ??= MachineThread.acquire();
      return thread.run({
        kind: "vcpu",
        id,
        vcpuFd: vcpu.fd,
        runAddress: vcpu.run.address,
        runSize: vcpu.run.size,
        arena: this.#arena.buffer,
        plan,
      }, this.#event);
    });
  }

  /**
   * Starts the I/O threads, if they don't run yet.
   *
   * @param plan The devices
   * @param failed Told if one fails
   */
  startIo(plan: DeviceSetPlan, failed: (error: unknown) => void): void {
    if (this.#io.length > 0) return;
    this.#ioFds = plan.ioFds;
    this.#ioRuns = plan.ioFds.map((_, id) => {
      const thread = MachineThread.acquire();
      this.#io.push(thread);
      const run = thread.run({ kind: "io", id, arena: this.#arena.buffer, plan }, this.#event);
      return run.catch(failed);
    });
  }

  /** Whether the I/O threads have been started. */
  get servesDevices(): boolean {
    return this.#io.length > 0;
  }

  /** Has the I/O threads let their devices go; resolves when they have. */
  async stopIo(): Promise<void> {
    this.#arena.ioRequest = Request.STOP;
    for (const fd of this.#ioFds) signalEventFd(fd);
    await Promise.all(this.#ioRuns);
  }

  /** Has every vCPU look at its request word soon, wherever it is. */
  request(request: number): void {
    for (const id of this.#vcpus.keys()) {
      this.#arena.setRequest(id, request);
      this.#kick(id);
    }
    this.#arena.announceProgress();
  }

  /** Lets vCPUs that are paused go on. */
  resume(): void {
    for (const id of this.#vcpus.keys()) this.#arena.setRequest(id, Request.RUN);
  }

  /** Whether every vCPU stands between two instructions. */
  get allPaused(): boolean {
    return this.#vcpus.every((_, id) => this.#arena.vcpuState(id) === VcpuState.PAUSED);
  }

  /**
   * Has every thread that runs take a device, or let it go.
   *
   * @param change Which
   * @returns Resolves when all have
   * @throws {VmError} If the device's code throws in one of them
   */
  async change(change: DeviceChange): Promise<void> {
    if (!this.#running) return;
    const vcpus = this.#threads.map((thread, id) => {
      const changed = thread.change(change);
      this.#arena.askForChange(id);
      this.#kick(id);
      return changed;
    });
    this.#arena.announceProgress();
    const io = this.#io.map((thread, id) => {
      const changed = thread.change(change);
      this.#arena.askIoForChange(id);
      signalEventFd(this.#ioFds[id]!);
      return changed;
    });
    const results = await Promise.allSettled([...vcpus, ...io]);
    const failure = results.find((result) => result.status === "rejected");
    if (failure !== undefined) throw failure.reason;
  }

  /** Gives the threads back; nothing of the machine runs on them any more. */
  [Symbol.dispose](): void {
    for (const thread of [...this.#threads.splice(0), ...this.#io.splice(0)]) thread.release();
  }

  #kick(id: number): void {
    Atomics.store(new Uint8Array(this.#vcpus[id]!.run.buffer), RunOffset.immediate_exit, 1);
    const tid = this.#arena.threadId(id);
    if (tid !== 0) kickThread(tid);
  }
}
