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
import type { Vcpu } from "../ffi/kvm/vcpu.ts";
import type { Json } from "../ffi/struct.ts";
import { type Arena, Request } from "./arena.ts";
import { Console } from "./console.ts";
import type { Fault } from "./cpu/fault.ts";
import type { TrapByte } from "./debug/code_patches.ts";
import { type DebugStop, stopDetails } from "./debug/debug_stop.ts";
import type { Debugger } from "./debug/debugger.ts";
import { MachineWatch } from "./debug/machine_watch.ts";
import { watchedMachine } from "./debug/watched_machine.ts";
import { UNFINISHED } from "./cpu/loop.ts";
import { sprint } from "./cpu/sprint.ts";
import type { DeviceEvent } from "./device.ts";
import type { DeviceHost, DeviceSet, EventSink, PlacedDevice } from "./device_set.ts";
import type { DeviceEntry, VmDocument } from "./document.ts";
import { DirtyLog } from "./dirty_log.ts";
import { DiskLending } from "./disk_lending.ts";
import type { VmEnd } from "./end.ts";
import { HotPlug } from "./hot_plug.ts";
import { MachineEnd } from "./machine_end.ts";
import { assembleMachine, type MachineParts, type Resumption } from "./machine_parts.ts";
import type { MemorySlot, SlotFile } from "./memory_slot.ts";
import type { Restart, RestartParts } from "./restart.ts";
import { MachineThreads } from "./machine_threads.ts";
import { type FrozenMachine, type MachineInside, Standstill } from "./standstill.ts";
import type { DeviceChange } from "./threads/thread.ts";
import { DeviceTimers } from "./timers.ts";
import type { WriteLog } from "./write_log.ts";

export type { FrozenMachine, MachineInside };

/** What a machine does. */
export type MachineState = "created" | "running" | "paused" | "ended";

/** The legal transitions, by the word that asks for them. */
const TRANSITIONS: Readonly<Record<string, readonly MachineState[]>> = {
  start: ["created"],
  pause: ["running"],
  resume: ["paused"],
  reset: ["running", "paused"],
  attach: ["created", "running", "paused"],
  detach: ["running", "paused"],
  inspect: ["created", "running", "paused"],
};

/** Whether an I/O thread serves a device. */
function isServed({ plan }: PlacedDevice): boolean {
  return plan.io >= 0;
}

/** Passes on what happens to devices, from before there is a machine to hear of it. */
class EventRelay {
  sink: EventSink | undefined;
  readonly send: EventSink = (device, event) => this.sink?.(device, event);
}

/** A virtual machine of this process. */
export class Machine implements AsyncDisposable {
  /** What it was made from. */
  readonly document: VmDocument;
  /** Its serial ports and debug consoles. */
  readonly console: Console;
  /** Resolves when it has ended and its output has been handed over. */
  readonly ended: Promise<VmEnd>;
  /** Who watches its exits, its figures and where its vCPUs stand. */
  readonly watch: MachineWatch;
  /** Which of its memory changes, once that is switched on; its devices stay what they are meanwhile. */
  readonly dirtyLog: DirtyLog;

  readonly #vcpus: readonly Vcpu[];
  readonly #arena: Arena;
  readonly #host: DeviceHost;
  readonly #devices: DeviceSet;
  readonly #threads: MachineThreads;
  readonly #hotPlug: HotPlug;
  readonly #timers: DeviceTimers;
  readonly #resources: AsyncDisposable;
  readonly #restartParts: RestartParts;
  #debugger: Debugger | undefined;
  #pausedBy: DebugStop | undefined;
  #restarter: Restart | undefined;
  #restarting: Promise<void> | undefined;
  #resets = 0;
  readonly #disks = new DiskLending((action) => {
    for (const { type, name } of this.devices) if (type === "disk") this.#act(name, action);
  });
  readonly #listeners = new Set<EventSink>();
  readonly #standstill: Standstill;
  /** What devices get when they start that go on from a saved state, by name. */
  readonly #kept = new Map<string, Json>();
  readonly #end: MachineEnd;
  #state: MachineState = "created";
  #settled: Promise<void> | undefined;
  #disposed = false;

  private constructor(parts: MachineParts, events: EventRelay) {
    this.document = parts.document;
    this.#vcpus = parts.vcpus;
    this.#arena = parts.layout.arena;
    this.#host = parts.host;
    this.#devices = parts.devices;
    this.#resources = parts.resources;
    const plans = parts.placed.map(({ plan }) => plan);
    this.#restartParts = { ...parts, arena: this.#arena, plans };
    this.#arena.restarts = parts.document.reboot === "restart";
    events.sink = (device, event) => this.#happened(device, event);
    this.#threads = new MachineThreads(this.#arena, parts.vcpus, parts.threads, events.send);
    this.#hotPlug = new HotPlug(
      {
        layout: parts.layout,
        placer: parts.placer,
        devices: parts.devices,
        change: (change) => this.#change(change),
        act: (device, action, value) => this.#act(device, action, value),
      },
      parts.placed,
      parts.document.devices ?? [],
    );
    const failed = (error: unknown) => this.fail(error);
    this.#timers = new DeviceTimers(parts.devices, failed);
    this.console = new Console(this.#arena, parts.devices, {
      kernel: parts.document.boot?.kernel !== undefined,
      onPanicBegin: () => this.tell({ kind: "panic", message: "the guest's kernel panicked" }),
      onPanic: () => this.#arena.stop("panic"),
      onFailure: failed,
    });
    this.#end = new MachineEnd({
      ...{ arena: this.#arena, threads: this.#threads, timers: this.#timers },
      console: this.console,
      ended: (details) => {
        this.#state = "ended";
        this.tell({ kind: "ended", ...details });
      },
    });
    this.ended = this.#end.ended;
    this.watch = new MachineWatch(watchedMachine(this, parts, this.#threads));
    const { vcpus, host: { vmFd, slots }, devices } = parts;
    this.dirtyLog = new DirtyLog(vmFd, slots, devices.writeLog);
    this.#standstill = new Standstill({
      ...{ vcpus, vmFd, devices, threads: this.#threads, timers: this.#timers },
      ...{ console: this.console, kept: this.#kept },
      ending: () => this.#ending,
      stand: () => this.#standToBeSeen(),
      goOn: () => {
        if (this.#state === "running") this.#letGo(); // which it may have become meanwhile
      },
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
    const events = new EventRelay();
    return new Machine(await assembleMachine(document, events.send), events);
  }

  /**
   * Makes a machine that is to go on from a saved state, which the caller puts into it before it is
   * started.
   *
   * @param document What it is
   * @param resumption Its memory
   * @returns The machine; dispose it to free what it holds
   * @throws {DocumentError} If the document contradicts itself
   * @throws {HostError} If the host can't provide it
   */
  static async resumed(document: VmDocument, resumption: Resumption): Promise<Machine> {
    const events = new EventRelay();
    return new Machine(await assembleMachine(document, events.send, resumption), events);
  }

  /** The document that describes it as it is now, with devices that came and without those that went. */
  get description(): VmDocument {
    return {
      ...this.document,
      devices: this.#hotPlug.entries,
      irqchip: this.#host.irqchip,
      pci: this.#host.pciWindows.length > 0,
    };
  }

  /**
   * Has files with what is in its memory, for forks to map copy on write, and lends its disks to them:
   * until they have given those back it cannot go on. Only while it is frozen.
   *
   * @returns For each slot its file, in order; none for memory that the guest shares with others
   * @throws {VmError} If a disk can't be lent, or the machine is being migrated
   * @throws {HostError} If the host has no room for it
   */
  lend(): (SlotFile | undefined)[] {
    // What a migration reads are the files behind memory, which is not to be elsewhere meanwhile.
    this.#requireUnlogged("make copies");
    this.#disks.lend();
    const { ran } = this.#arena;
    const images = this.#restartParts.memory.images(!ran && !this.writeLog.any);
    this.#arena.ran = false;
    this.writeLog.forgetAny();
    return images;
  }

  /**
   * Tells that its memory was written by other hands than the guest's and its devices'.
   *
   * @param ranges Where: guest-physical addresses and lengths, each within one region
   */
  memoryWritten(ranges: readonly (readonly [address: number, length: number])[]): void {
    this.#arena.ran = true; // the images of its memory do not have that
    const { memory } = this.#devices;
    for (const [address, length] of ranges) {
      if (memory.find(address, length) >= 0) memory.written(address, length);
    }
  }

  /**
   * Resolves when all of its memory is there, which that of one that was restored lazily is not at once: who
   * reads memory by the files behind it waits for this. Rejects when that will never be; threads that wait
   * for it wait until the process ends, or the machine is disposed of.
   */
  get filled(): Promise<void> {
    return this.#restartParts.memory.filled;
  }

  /** What its fw_cfg device hands out, if it has one. */
  get firmwareItems(): Readonly<Record<string, unknown>> | undefined {
    return this.#hotPlug.placed.find(({ plan }) => plan.type === "fw_cfg")?.plan.config;
  }

  /** What it does. */
  get state(): MachineState {
    return this.#state;
  }

  /** Whether its guest has come to an end that `ended` will tell of. */
  get stopping(): boolean {
    return this.#end.reached;
  }

  /** Whether it has interrupt controllers. */
  get interruptible(): boolean {
    return this.#host.irqchip;
  }

  /** How often it has started anew. */
  get resets(): number {
    return this.#resets;
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
    this.#become(options.paused ? "paused" : "running");
    const plan = { ...this.#host, devices: this.#hotPlug.placed };
    const served = plan.devices.some(isServed);
    // With interrupt controllers its thread is there already, and HLT would hold this one up.
    if (options.sprint && !options.paused && !this.#host.irqchip && !served) {
      const sprinted = this.#sprint();
      if (sprinted !== undefined) {
        this.#settled = this.#end.after([sprinted], Promise.resolve());
        return;
      }
    }
    try {
      this.#threads.requireRoom(plan, served);
    } catch (error) { // `ended` carries the failure
      this.#settled = this.#end.after([Promise.reject(error)], Promise.resolve());
      return;
    }
    if (served) {
      const kept = Object.fromEntries(this.#kept);
      this.#threads.startIo(plan, (error) => this.fail(error), kept);
    }
    const runs = this.#threads.startVcpus(plan, options.paused ? Request.PAUSE : Request.RUN);
    this.#timers.letGo();
    this.#settled = this.#end.after(runs, this.#attend());
  }

  /**
   * Starts its threads before the machine, which load what they will run.
   *
   * @returns Resolves when they have
   * @throws {HostError} If there are too few descriptors for them
   */
  async warmUp(): Promise<void> {
    const plan = { ...this.#host, devices: this.#hotPlug.placed };
    await this.#threads.warmUp(plan, plan.devices.some(isServed));
  }

  /**
   * Starts it paused, and besides nothing is done for its devices before {@linkcode letDevicesGo}: whoever
   * calls this decides whether it is to run at all.
   *
   * @returns Resolves when every thread of it stands
   * @throws {VmError} If it was started before
   */
  async startStanding(): Promise<void> {
    await this.#threads.startStandingIo(() => this.start({ paused: true }));
    await this.#stand();
  }

  /** Has its devices served after {@linkcode startStanding}; its vCPUs wait for {@linkcode resume}. */
  letDevicesGo(): void {
    this.#threads.letIoGo();
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
        irqchip: this.#host.irqchip,
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
    this.#become("paused");
    await this.#hold(() => this.#state !== "paused");
  }

  /** What the debugger has met, if it is paused because of that. */
  get pausedBy(): DebugStop | undefined {
    return this.#state === "paused" ? this.#pausedBy : undefined;
  }

  /** What the debugger has put into the guest's code while that runs. */
  get traps(): readonly TrapByte[] {
    return this.#debugger?.traps ?? [];
  }

  /** Its breakpoints and single steps; it has none before it is asked for them. */
  async debugger(): Promise<Debugger> {
    const { openDebugger } = await import("./debug/debuggee.ts");
    return this.#debugger ??= openDebugger(this, this.#restartParts, this.#threads, {
      ending: () => this.#ending,
      failed: (error) => this.fail(error),
      reclaim: () => this.#disks.reclaim(),
      stopped: (stop) => {
        this.#pausedBy = stop;
        this.#become("paused", { ...stopDetails(stop) });
        this.#arena.doorbell.ring();
      },
    });
  }

  /**
   * Waits until it does not run: it is paused, or it has ended.
   *
   * @param signal Ends the wait
   */
  async standing(signal?: AbortSignal): Promise<void> {
    const ring = () => this.#arena.doorbell.ring();
    signal?.addEventListener("abort", ring);
    for (;;) {
      const seen = this.#arena.doorbell.count;
      if (this.#state !== "running" || this.#ending || signal?.aborted) break;
      await this.#arena.doorbell.after(seen);
    }
    signal?.removeEventListener("abort", ring);
    if (this.#ending) await this.ended.catch(() => {});
  }

  /** Has every vCPU stand; the machine's end may overtake it, or what the caller says. */
  async #hold(overtaken: () => boolean = () => false): Promise<void> {
    if (this.#ending) return; // they were told to end, which is not to be taken back
    this.#threads.request(Request.PAUSE);
    await this.#stand(overtaken);
  }

  /** Waits until every vCPU stands that was told to. */
  async #stand(overtaken: () => boolean = () => false): Promise<void> {
    for (;;) {
      const seen = this.#arena.doorbell.count;
      if (this.#threads.allPaused) return this.#debugger?.standing();
      if (overtaken() || this.#ending) return;
      await this.#arena.doorbell.after(seen);
    }
  }

  /**
   * Lets a paused machine go on.
   *
   * @throws {VmError} If it is not paused
   */
  resume(): void {
    this.#require("resume");
    this.#disks.reclaim();
    this.#pausedBy = undefined;
    this.#become("running");
    if (!this.#standstill.looking) this.#letGo();
    this.#arena.doorbell.ring();
  }

  /**
   * Lets another machine have its disks that is to go on in its place. Only while it is frozen.
   *
   * @throws {VmError} If it can't
   */
  yieldDisks(): void {
    this.#disks.yield();
  }

  /**
   * Takes its disks after {@linkcode yieldDisks} of this machine or of another.
   *
   * @throws {VmError} If others use one
   */
  takeDisks(): void {
    this.#disks.take();
  }

  /** Lets the vCPUs run, unless the debugger has something to do before. */
  #letGo(): void {
    if (this.#debugger === undefined || this.#debugger.letGo()) this.#threads.resume();
  }

  /**
   * Starts it anew in place, as its reset button would: devices, memory and vCPUs are as before the
   * first instruction, images are read again. A paused one stays paused.
   *
   * @throws {VmError} If it does not run
   * @throws {HvshError} If an image can't be read any more; the VM has ended then
   */
  async reset(): Promise<void> {
    this.#require("reset");
    this.#arena.askForRestart();
    await this.#startAnew("host");
  }

  #startAnew(by: "guest" | "host"): Promise<void> {
    return this.#restarting ??= this.#standAndRestart(by).catch((error) => {
      if (this.#ending) return;
      this.fail(error);
      throw error;
    });
  }

  async #standAndRestart(by: "guest" | "host"): Promise<void> {
    // What is still to come of a restored memory would come into the new one.
    await this.filled;
    await this.inspect(() => this.#restart(by));
  }

  async #restart(by: "guest" | "host"): Promise<void> {
    await this.#hold();
    const { Restart } = await import("./restart.ts");
    this.#restarter ??= new Restart(this.#restartParts);
    await this.#restarter.run(() => this.#ending);
    this.#arena.ran = true; // the images of its memory are of what was before
    this.#timers.startAnew();
    this.console.startAnew();
    this.dirtyLog.markAll();
    this.#resets++;
    this.tell({ kind: "reset", by, count: this.#resets });
    this.#restarting = undefined; // from here on the guest may ask for the next one
    this.#arena.endRestart();
  }

  /**
   * Looks into the machine while every vCPU stands between two instructions: one that runs is held for
   * as long as it takes. One look after the other.
   *
   * @param work What to do; it may be told that it is not the machine's state that holds the vCPUs
   * @returns What it gave
   * @throws {VmError} If the machine has ended
   */
  async inspect<T>(work: (inside: MachineInside) => T | Promise<T>): Promise<T> {
    return await this.#standstill.inspect(work);
  }

  /**
   * Looks into the machine while all of it stands still: as {@linkcode inspect}, and besides devices
   * begin nothing and have nothing in the kernel's hands, so that neither their state nor guest memory
   * changes. What guest and host tell devices meanwhile they find afterwards.
   *
   * @param work What to do
   * @returns What it gave
   * @throws {VmError} If the machine has ended, or ends before it stands
   */
  async freeze<T>(work: (frozen: FrozenMachine) => T | Promise<T>): Promise<T> {
    return await this.#standstill.freeze(work);
  }

  /**
   * Has what its guest has written to disks reach the host's storage: who takes its state while it is frozen
   * does so before, since a host that loses power would leave older disks under it, and another host may not
   * see what this one has in its cache. It takes long where much was written; done once more before the
   * machine is frozen, that leaves little.
   *
   * @throws {HostError} If something did not
   * @throws {VmError} If the machine has ended
   */
  async flushDisks(): Promise<void> {
    this.#require("inspect");
    await Promise.all(this.#devices.devices.map(({ device }) => device.flush?.()));
  }

  /** Has every vCPU stand for who looks. */
  async #standToBeSeen(): Promise<void> {
    this.#require("inspect");
    // A pause may have been asked for just now.
    const stands = this.#state === "created" ||
      this.#state === "paused" && this.#threads.allPaused;
    if (!stands) await this.#hold();
    else if (this.#state === "paused") await this.#stand(); // it may just have been told to
  }

  /**
   * Ends it at once, whatever it does.
   *
   * @param kind What to say of its end
   * @returns How it ended
   */
  stop(kind: "killed" | "timeout" | "migrated" = "killed"): Promise<VmEnd> {
    if (this.#state === "created") this.#end.now(kind);
    else if (this.#state !== "ended") this.#end.ask(kind);
    return this.ended;
  }

  /**
   * Does something to a device from outside: `powerbutton` on `pm`, `break` on a serial port.
   *
   * @param device The device's name
   * @param action The action's name
   * @param value What it is to be done with: a size, an address
   * @returns False if there is no such device or action
   * @throws {VmError} If the machine is frozen, or the device refuses
   */
  act(device: string, action: string, value?: string): boolean {
    if (this.#standstill.frozen) {
      throw new VmError(`Cannot ${action} ${device} while the VM's state is being taken`, {
        hint: "try again when that is done",
      });
    }
    return this.#act(device, action, value);
  }

  #act(device: string, action: string, value?: string): boolean {
    const open = this.#devices.devices.find(({ name }) => name === device);
    return open !== undefined &&
      this.#devices.locked(open, (d) => d.action?.(action, value) ?? false);
  }

  /**
   * Adds a device of the PCI bus; the guest takes it as soon as it looks.
   *
   * @param entry As in a document's `devices`
   * @returns The device's name
   * @throws {DocumentError} If it is no such device, or its entry is wrong
   * @throws {VmError} If the VM has ended, or the device's code throws
   */
  async attach(entry: DeviceEntry): Promise<string> {
    this.#require("attach");
    this.#requireUnlogged("attach a device");
    const name = await this.#hotPlug.attach(entry);
    return name;
  }

  /**
   * Has the guest let a device of the PCI bus go, and takes it away.
   *
   * @param name The device's name
   * @param signal Aborts the wait for the guest
   * @throws {VmError} If there is no such device, or the guest does not let it go
   */
  async detach(name: string, signal?: AbortSignal): Promise<void> {
    this.#require("detach");
    this.#requireUnlogged("detach a device");
    await this.#hotPlug.detach(name, signal);
  }

  /**
   * Has what happens to the machine and its devices told from now on.
   *
   * @param listener Gets the device's name, empty for the machine itself, and the event
   * @returns A function that ends it
   */
  listen(listener: EventSink): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells who listens of something that happened to the machine itself. */
  tell(event: DeviceEvent): void {
    for (const listener of this.#listeners) listener("", event);
  }

  /** Bytes of its RAM. */
  get memorySize(): number {
    return this.#host.slots.reduce((sum, { ram, size }) => sum + (ram ? size : 0), 0);
  }

  /** What of its memory its devices write, once that is switched on. */
  get writeLog(): WriteLog {
    return this.#devices.writeLog;
  }

  /** Where its memory lies, for as long as it is not disposed of. */
  get slots(): readonly MemorySlot[] {
    return this.#host.slots;
  }

  /** Its devices, by type and name. */
  get devices(): { type: string; name: string }[] {
    return this.#devices.devices.map(({ type, name }) => ({ type, name }));
  }

  /** The counters of every device that has some, by device and name. */
  stats(): Record<string, Readonly<Record<string, number>>> {
    return Object.fromEntries(
      this.#devices.devices.filter(({ device }) => device.stats !== undefined)
        .map((open) => [open.name, this.#devices.locked(open, (device) => device.stats!())]),
    );
  }

  /** Ends it if it still runs, and frees everything it holds. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.stop();
    await this.#restartParts.memory.giveUp();
    await this.#settled;
    await this.#restarting?.catch(() => {});
    this.#timers.clear();
    await this.watch[Symbol.asyncDispose]();
    this.#threads[Symbol.dispose]();
    await this.#hotPlug[Symbol.asyncDispose]();
    await this.#resources[Symbol.asyncDispose]();
  }

  #require(word: keyof typeof TRANSITIONS): void {
    if (TRANSITIONS[word]!.includes(this.#state)) return;
    throw new VmError(`Cannot ${word} a VM that is ${this.#state}`);
  }

  #requireUnlogged(what: string): void {
    if (!this.dirtyLog.fixed) return;
    throw new VmError(`Cannot ${what} while the VM is being migrated`, {
      hint: "try again when that is done",
    });
  }

  #become(state: MachineState, details: Readonly<Record<string, unknown>> = {}): void {
    // What only the guest can put off must not come while it stands.
    if (state === "paused") this.#timers.hold();
    else if (this.#state === "paused") this.#timers.letGo();
    this.#state = state;
    this.tell({ kind: state, ...details });
  }

  /** Whether it comes to its end, by itself or because it was told to. */
  get #ending(): boolean {
    return this.#end.coming;
  }

  /** Has every other thread take a change; the first device to be served brings the I/O threads. */
  async #change(change: DeviceChange): Promise<void> {
    await this.#threads.change(change);
    const lives = this.#state === "running" || this.#state === "paused";
    if (change.kind !== "attach" || !lives || this.#threads.servesDevices) return;
    const plan = { ...this.#host, devices: [...this.#hotPlug.placed, change.placed] };
    this.#threads.requireRoom(plan, true);
    this.#threads.startIo(plan, (error) => this.fail(error));
  }

  #happened(device: string, event: DeviceEvent): void {
    if (event.kind === "eject") {
      this.#hotPlug.ejected(event).catch((error) => this.fail(error));
    }
    for (const listener of this.#listeners) listener(device, event);
  }

  /**
   * Ends it because something on this thread failed.
   *
   * @param error What `ended` will tell of
   */
  fail(error: unknown): void {
    this.#end.failed(error);
    this.stop();
  }

  /** Resolves when it is told to end, by whoever. */
  get told(): Promise<void> {
    return this.#end.told;
  }

  /**
   * Has `ended` tell of its end, or why it failed, although threads of it can't end. Nothing of it is let go
   * from then on: its process is to end.
   */
  abandon(): void {
    this.#disposed = true;
    this.#end.abandon();
  }

  /** Serves the doorbell until the machine stops. */
  async #attend(): Promise<void> {
    try {
      for (;;) {
        const seen = this.#arena.doorbell.count;
        this.console.pump();
        this.#timers.arm();
        if (this.#ending) return;
        this.#debugger?.attend();
        if (this.#arena.restarting) this.#startAnew("guest").catch(() => {}); // it has ended it
        await this.#arena.doorbell.after(seen);
      }
    } catch (error) {
      this.fail(error);
    }
  }
}
