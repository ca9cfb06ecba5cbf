/**
 * The threads of one machine: a vCPU each, and the I/O threads that serve its devices.
 *
 * @module
 */
import { attempt } from "../ffi/kvm/call.ts";
import type { Vcpu } from "../ffi/kvm/vcpu.ts";
import { RunOffset } from "../ffi/kvm/structs.ts";
import { installKickHandler, kickThread } from "../ffi/signals.ts";
import type { Json } from "../ffi/struct.ts";
import { type Arena, Request, VcpuState } from "./arena.ts";
import type { Fault } from "./cpu/fault.ts";
import type { DeviceSetPlan, EventSink } from "./device_set.ts";
import { signalEventFd } from "./io_event.ts";
import { doneInTime } from "./slow_reader.ts";
import { MachineThread, type ThreadChange } from "./threads/thread.ts";

/** After so many pauses their numbers start anew. */
const MOST_PAUSES = 2 ** 20;

/** Everything that runs a machine's guest and its devices. */
export class MachineThreads implements Disposable {
  readonly #arena: Arena;
  readonly #vcpus: readonly Vcpu[];
  readonly #event: EventSink;
  readonly #threads: MachineThread[];
  readonly #io: MachineThread[] = [];
  /** Threads that were started ahead to serve devices. */
  #ioAhead: MachineThread[] = [];
  #ioRuns: Promise<unknown>[] = [];
  #ioFds: readonly number[] = [];
  #running = false;
  #pauses = 0;
  #changed: Promise<void> = Promise.resolve();

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
   * Looks that the threads which are not there yet can be started.
   *
   * @param plan The devices
   * @param served Whether the I/O threads are among them
   * @throws {HostError} If there are too few descriptors for them
   */
  requireRoom({ ioFds }: DeviceSetPlan, served: boolean): void {
    const io = served && this.#io.length + this.#ioAhead.length === 0 ? ioFds.length : 0;
    const vcpus = this.#running ? 0 : this.#vcpus.length - this.#threads.length;
    MachineThread.requireRoom(io + vcpus);
  }

  /**
   * Starts the threads that there are to be, which load what they will run.
   *
   * @param plan The devices
   * @param served Whether the I/O threads are among them
   * @returns Resolves when they have
   * @throws {HostError} If there are too few descriptors for them
   */
  async warmUp(plan: DeviceSetPlan, served: boolean): Promise<void> {
    this.requireRoom(plan, served);
    for (const id of this.#vcpus.keys()) this.#threads[id] ??= MachineThread.acquire();
    if (served) this.#ioAhead = plan.ioFds.map(() => MachineThread.acquire());
    const devices = plan.devices.map(({ plan }) => plan);
    await Promise.all([...this.#threads, ...this.#ioAhead].map((thread) => thread.load(devices)));
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
   * @param kept What devices kept beside the arena, by name, if they go on from a saved state
   */
  startIo(
    plan: DeviceSetPlan,
    failed: (error: unknown) => void,
    kept: Readonly<Record<string, Json>> = {},
  ): void {
    if (this.#io.length > 0) return;
    this.#ioFds = plan.ioFds;
    this.#ioRuns = plan.ioFds.map((_, id) => {
      const thread = this.#ioAhead.pop() ?? MachineThread.acquire();
      this.#io.push(thread);
      const { buffer } = this.#arena;
      const run = thread.run({ kind: "io", id, arena: buffer, plan, kept }, this.#event);
      return run.catch(failed);
    });
  }

  /** Whether the I/O threads have been started. */
  get servesDevices(): boolean {
    return this.#io.length > 0;
  }

  /**
   * Has the I/O threads let their devices go, once those have handed over what the guest has given them.
   *
   * @param told Resolves when the machine was told to end: then a reader that does not read is not waited for
   * @returns Resolves when they have
   */
  async stopIo(told: Promise<void>): Promise<void> {
    this.#askIoToEnd(Request.STOP);
    const stopped = Promise.all(this.#ioRuns);
    if (await doneInTime(stopped, told)) return;
    this.#askIoToEnd(Request.LEAVE);
    await stopped;
  }

  #askIoToEnd(request: number): void {
    this.#arena.ioRequest = request;
    for (const fd of this.#ioFds) signalEventFd(fd);
  }

  /**
   * Has the I/O threads stand once nothing of their devices is in the kernel's hands any more.
   *
   * @returns What devices keep beside the arena, by name
   */
  async standIo(): Promise<Map<string, Json>> {
    const pause = this.#askToStand();
    const standing = Promise.all(this.#io.map((thread) => thread.standing(pause)));
    for (const fd of this.#ioFds) signalEventFd(fd);
    return new Map((await standing).flatMap((kept) => Object.entries(kept)));
  }

  /**
   * Starts the I/O threads, which stand before they do anything.
   *
   * @param start Starts them
   * @returns Resolves when all stand
   */
  async startStandingIo(start: () => void): Promise<void> {
    const pause = this.#askToStand();
    start();
    await Promise.all(this.#io.map((thread) => thread.standing(pause)));
  }

  #askToStand(): number {
    const pause = this.#pauses = this.#pauses % MOST_PAUSES + 1;
    this.#arena.pauseIo(pause);
    return pause;
  }

  /** Has the I/O threads go on that stand. */
  letIoGo(): void {
    this.#arena.resumeIo();
    for (const fd of this.#ioFds) signalEventFd(fd);
  }

  /** Has every vCPU look at its request word soon, wherever it is. */
  request(request: number): void {
    for (const id of this.#vcpus.keys()) {
      this.#arena.setRequest(id, request);
      // One that stands looks at its request before it runs, and a kick would only be in its way.
      const stands = this.#arena.vcpuState(id) === VcpuState.PAUSED;
      if (request !== Request.PAUSE || !stands) this.kick(id);
    }
    this.#arena.announceProgress();
  }

  /** Lets vCPUs that are paused go on, but for those that stand until the debugger looks. */
  resume(): void {
    for (const { id, fd } of this.#vcpus) {
      if (this.#arena.debugStop(id) !== 0) continue;
      // A guest with kvmclock does not take the time that it stood for a lockup; others say EINVAL.
      // One that does not stand yet is in KVM_RUN, and the call would wait for it.
      if (this.#arena.vcpuState(id) === VcpuState.PAUSED) attempt(fd, "KVMCLOCK_CTRL");
      this.#arena.letGo(id);
    }
  }

  /** Whether every vCPU stands between two instructions. */
  get allPaused(): boolean {
    return this.#vcpus.every((_, id) => this.#arena.vcpuState(id) === VcpuState.PAUSED);
  }

  /**
   * Has every thread that runs take a device, or let it go; has every vCPU watch something else. One
   * change after the other.
   *
   * @param change Which
   * @returns Resolves when all have
   * @throws {VmError} If the device's code throws in one of them
   */
  async change(change: ThreadChange): Promise<void> {
    const done = this.#changed.then(() => this.#change(change));
    this.#changed = done.catch(() => {});
    await done;
  }

  async #change(change: ThreadChange): Promise<void> {
    if (!this.#running) return;
    const vcpus = this.#threads.map((thread, id) => {
      const changed = thread.change(change);
      this.#arena.askForChange(id);
      this.kick(id);
      return changed;
    });
    this.#arena.announceProgress();
    const served = change.kind === "watch" ? [] : this.#io;
    const io = served.map((thread, id) => {
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
    for (const threads of [this.#threads, this.#io, this.#ioAhead]) {
      for (const thread of threads.splice(0)) thread.release();
    }
  }

  /** Brings a vCPU out of KVM_RUN, or keeps it from entering once. */
  kick(id: number): void {
    Atomics.store(new Uint8Array(this.#vcpus[id]!.run.buffer), RunOffset.immediate_exit, 1);
    const tid = this.#arena.threadId(id);
    if (tid !== 0) kickThread(tid);
  }
}
