/**
 * A machine's threads: Workers that are started ahead and used again, since starting one takes
 * longer than the whole life of a small VM. Each runs a vCPU or an I/O loop.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import type { Fault } from "../cpu/fault.ts";
import type { DeviceEvent } from "../device.ts";
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
}

/** A device that comes or goes while the thread runs. */
export type DeviceChange =
  | { readonly kind: "attach"; readonly placed: PlacedDevice }
  | { readonly kind: "detach"; readonly name: string };

/** What a thread is told. */
export type ThreadOrder = Int32Array | VcpuAssignment | IoAssignment | DeviceChange;

/** What went wrong in a thread. */
interface Failure {
  readonly message: string;
  readonly hint?: string;
}

/** What a thread says. */
export type ThreadReport =
  | { readonly kind: "ready" }
  | { readonly kind: "event"; readonly device: string; readonly event: DeviceEvent }
  | { readonly kind: "changed"; readonly failure?: Failure }
  | { readonly kind: "ended"; readonly fault?: Fault }
  | ({ readonly kind: "failed" } & Failure);

/** `deno task build` gives the Worker a folder of its own. */
const WORKER = import.meta.url.endsWith(".ts") ? "./worker.ts" : "../worker/worker.js";

const pool: MachineThread[] = [];

/** A thread that runs one thing at a time. */
export class MachineThread {
  readonly #worker: Worker;
  readonly #lease = new Int32Array(new SharedArrayBuffer(4));
  #ended: ((report: ThreadReport) => void) | undefined;
  #changed: ((failure?: Failure) => void) | undefined;
  #event: EventSink | undefined;
  #broken: string | undefined;

  private constructor() {
    this.#lease[0] = Lease.TAKEN;
    this.#worker = new Worker(new URL(WORKER, import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<ThreadReport>) => this.#take(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#broken = event.message;
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
   * Starts threads before they are needed, while documents and images are read.
   *
   * @param count How many
   */
  static prepare(count: number): void {
    const threads = Array.from({ length: count }, () => new MachineThread());
    for (const thread of threads) thread.release();
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
   * @param change A device that comes or goes
   * @returns Resolves when the thread has it, or has ended
   * @throws {VmError} If the device's code throws there
   */
  async change(change: DeviceChange): Promise<void> {
    if (this.#ended === undefined) return;
    const failure = await new Promise<Failure | undefined>((resolve) => {
      this.#changed = resolve;
      this.#worker.postMessage(change);
    });
    this.#changed = undefined;
    if (failure === undefined) return;
    throw new VmError(failure.message, failure.hint === undefined ? {} : { hint: failure.hint });
  }

  /** Gives the thread back for the next VM. */
  release(): void {
    this.#event = undefined;
    if (this.#broken !== undefined) {
      this.#worker.terminate();
      return;
    }
    Atomics.store(this.#lease, 0, Lease.IDLE);
    pool.push(this);
  }

  #take(report: ThreadReport): void {
    switch (report.kind) {
      case "ready":
        return;
      case "event":
        this.#event?.(report.device, report.event);
        return;
      case "changed":
        this.#changed?.(report.failure);
        return;
      default:
        this.#ended?.(report);
    }
  }
}
