/**
 * A machine's threads: Workers that are started ahead and used again, since starting one takes
 * longer than the whole life of a small VM. Each runs a vCPU or an I/O loop.
 *
 * @module
 */
import { hasDescriptors } from "../../ffi/descriptor_limit.ts";
import { Errno } from "../../ffi/errno.ts";
import { HostError, VmError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import type { Fault } from "../cpu/fault.ts";
import type { DeviceEvent, DevicePlan } from "../device.ts";
import type { WatchPlan } from "../debug/watch_plan.ts";
import type { DeviceSetPlan, EventSink, PlacedDevice } from "../device_set.ts";

/** How long an idle thread stays for the next VM. */
export const IDLE_MILLISECONDS = 100;

/** Who has a thread; the word is shared with it, so that it never closes while being taken. */
export const Lease = { IDLE: 0, TAKEN: 1, CLOSED: 2 } as const;

/** What every thread of a machine is told; plain data. */
interface MachineAssignment {
  /** Number of the vCPU or the I/O thread. */
  readonly id: number;
  readonly arena: SharedArrayBuffer;
  readonly plan: DeviceSetPlan;
}

/** A vCPU to run. */
export interface VcpuAssignment extends MachineAssignment {
  readonly kind: "vcpu";
  readonly vcpuFd: number;
  readonly runAddress: bigint;
  readonly runSize: number;
}

/** Devices to serve. */
export interface IoAssignment extends MachineAssignment {
  readonly kind: "io";
  /** What devices kept beside the arena, by name, if the machine goes on from a saved state. */
  readonly kept: Readonly<Record<string, Json>>;
}

/** A device that comes or goes while the thread runs. */
export type DeviceChange =
  | { readonly kind: "attach"; readonly placed: PlacedDevice }
  | { readonly kind: "detach"; readonly name: string };

/** What vCPUs are to be watched for from now on. */
export interface WatchChange {
  readonly kind: "watch";
  readonly plan: WatchPlan;
}

/** What a thread takes while it runs. */
export type ThreadChange = DeviceChange | WatchChange;

/** Code to load, before it is told what to run. */
export interface LoadOrder {
  readonly kind: "load";
  readonly devices: readonly DevicePlan[];
}

/** What a thread is told. */
export type ThreadOrder = Int32Array | VcpuAssignment | IoAssignment | ThreadChange | LoadOrder;

/** What went wrong in a thread. */
interface Failure {
  readonly message: string;
  readonly hint?: string;
}

/** What a thread says. */
export type ThreadReport =
  | { readonly kind: "ready" }
  | { readonly kind: "loaded" }
  | { readonly kind: "event"; readonly device: string; readonly event: DeviceEvent }
  | { readonly kind: "changed"; readonly failure?: Failure }
  | {
    readonly kind: "stands";
    readonly pause: number;
    readonly kept: Readonly<Record<string, Json>>;
  }
  | { readonly kind: "ended"; readonly fault?: Fault }
  | ({ readonly kind: "failed" } & Failure);

/** `deno task build` gives the Worker a folder of its own. */
const WORKER = import.meta.url.endsWith(".ts") ? "./worker.ts" : "../worker/worker.js";

/** Descriptors that a Worker has, and as it reads its modules; where it gets none, Deno panics. */
const WORKER_FILES = 16;
/** Room for more than that: a VM whose descriptors are scarce opens its devices first. */
const PLENTY = 256;

const pool: MachineThread[] = [];
/** Workers that have not said that they are there. */
let starting = 0;

/** A thread that runs one thing at a time. */
export class MachineThread {
  readonly #worker: Worker;
  readonly #lease = new Int32Array(new SharedArrayBuffer(4));
  #ended: ((report: ThreadReport) => void) | undefined;
  #changed: ((failure?: Failure) => void) | undefined;
  #stands: { pause: number; resolve(kept: Readonly<Record<string, Json>>): void } | undefined;
  #loaded: (() => void) | undefined;
  #event: EventSink | undefined;
  #broken: string | undefined;

  private constructor() {
    this.#lease[0] = Lease.TAKEN;
    starting++;
    this.#worker = new Worker(new URL(WORKER, import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<ThreadReport>) => this.#take(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#broken = event.message;
      this.#loaded?.();
      this.#take({ kind: "failed", message: event.message });
    };
    this.#worker.postMessage(this.#lease);
  }

  /** Takes an idle thread, or starts one. */
  static acquire(): MachineThread {
    for (let thread = pool.pop(); thread !== undefined; thread = pool.pop()) {
      const was = Atomics.compareExchange(thread.#lease, 0, Lease.IDLE, Lease.TAKEN);
      if (was === Lease.IDLE) return thread;
    }
    return new MachineThread();
  }

  /**
   * Takes threads before they are needed, while images are read.
   *
   * @param count How many
   * @returns So many, or none where descriptors are scarce
   */
  static ahead(count: number): MachineThread[] {
    if (!hasDescriptors((starting + count) * WORKER_FILES + PLENTY)) return [];
    return Array.from({ length: count }, () => MachineThread.acquire());
  }

  /**
   * Starts threads before they are needed, while documents are read.
   *
   * @param count How many
   */
  static prepare(count: number): void {
    for (const thread of MachineThread.ahead(count)) thread.release();
  }

  /**
   * Looks that threads can be started.
   *
   * @param count How many are about to be acquired
   * @throws {HostError} If there are too few descriptors for them
   */
  static requireRoom(count: number): void {
    const more = Math.max(0, count - pool.length) + starting;
    if (hasDescriptors(more * WORKER_FILES)) return;
    throw new HostError("starting a thread", Errno.EMFILE, {
      hint: `\`ulimit -n\`: each thread takes up to ${WORKER_FILES} descriptors`,
    });
  }

  /**
   * Has it load devices' code before it runs anything.
   *
   * @param devices The devices
   * @returns Resolves when it has
   */
  async load(devices: readonly DevicePlan[]): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#loaded = resolve;
      if (this.#broken !== undefined) return resolve(); // which is told of when it is to run
      this.#worker.postMessage({ kind: "load", devices } satisfies LoadOrder);
    });
  }

  /**
   * Runs a vCPU, or serves devices, until the VM stops.
   *
   * @param assignment What to run
   * @param event Told of what happens to a device there
   * @returns What the vCPU ran into, if that is why
   * @throws {VmError} If the thread could not run it
   */
  async run(
    assignment: VcpuAssignment | IoAssignment,
    event: EventSink,
  ): Promise<Fault | undefined> {
    this.#event = event;
    const report = await new Promise<ThreadReport>((resolve) => {
      this.#ended = resolve;
      if (this.#broken !== undefined) resolve({ kind: "failed", message: this.#broken });
      else this.#worker.postMessage(assignment);
    });
    this.#ended = undefined;
    // What it was to change is gone with it.
    this.#changed?.();
    this.#stands?.resolve({});
    if (report.kind === "failed") {
      const what = assignment.kind === "vcpu" ? "vCPU" : "I/O thread";
      throw new VmError(`${what} ${assignment.id}: ${report.message}`, {
        ...(report.hint === undefined ? {} : { hint: report.hint }),
      });
    }
    return report.kind === "ended" ? report.fault : undefined;
  }

  /**
   * Has a thread that runs take a change; it must be brought out of its loop by whoever asks.
   *
   * @param change A device that comes or goes, or what to watch
   * @returns Resolves when the thread has it, or has ended
   * @throws {VmError} If the device's code throws there
   */
  async change(change: ThreadChange): Promise<void> {
    if (this.#ended === undefined) return;
    const failure = await new Promise<Failure | undefined>((resolve) => {
      this.#changed = resolve;
      this.#worker.postMessage(change);
    });
    this.#changed = undefined;
    if (failure === undefined) return;
    throw new VmError(failure.message, failure.hint === undefined ? {} : { hint: failure.hint });
  }

  /**
   * Waits until an I/O thread stands that was asked to; whoever asks has to wake it.
   *
   * @param pause The number of the pause
   * @returns What its devices keep beside the arena, by name; nothing if it has ended
   */
  async standing(pause: number): Promise<Readonly<Record<string, Json>>> {
    if (this.#ended === undefined) return {};
    const kept = await new Promise<Readonly<Record<string, Json>>>((resolve) => {
      this.#stands = { pause, resolve };
    });
    this.#stands = undefined;
    return kept;
  }

  /** Gives the thread back for the next VM. */
  release(): void {
    this.#event = undefined;
    if (this.#broken !== undefined) {
      this.#worker.terminate();
      return;
    }
    // Twice, and it could be taken after it has closed itself.
    const was = Atomics.compareExchange(this.#lease, 0, Lease.TAKEN, Lease.IDLE);
    if (was !== Lease.TAKEN) throw new Error("A thread was given back twice");
    pool.push(this);
  }

  #take(report: ThreadReport): void {
    switch (report.kind) {
      case "ready":
        starting--;
        return;
      case "event":
        this.#event?.(report.device, report.event);
        return;
      case "loaded":
        this.#loaded?.();
        return;
      case "changed":
        this.#changed?.(report.failure);
        return;
      case "stands":
        if (this.#stands?.pause === report.pause) this.#stands.resolve(report.kept);
        return;
      default:
        this.#ended?.(report);
    }
  }
}
