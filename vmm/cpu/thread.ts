/**
 * vCPU threads: Workers that are started ahead and used again, since starting one takes longer than
 * the whole life of a small VM.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import type { DeviceSetPlan } from "../device_set.ts";
import type { Fault } from "./fault.ts";

/** How long an idle thread stays for the next VM. */
export const IDLE_MILLISECONDS = 100;

/** Who has a thread; the word is shared with it, so that it never closes while being taken. */
export const Lease = { IDLE: 0, TAKEN: 1, CLOSED: 2 } as const;

/** What a thread is told to run; plain data. */
export interface VcpuAssignment {
  readonly id: number;
  readonly vcpuFd: number;
  readonly runAddress: bigint;
  readonly runSize: number;
  readonly arena: SharedArrayBuffer;
  readonly plan: DeviceSetPlan;
}

/** What a thread says. */
export type VcpuReport =
  | { readonly kind: "ready" }
  | { readonly kind: "ended"; readonly fault?: Fault }
  | { readonly kind: "failed"; readonly message: string; readonly hint?: string };

/** `deno task build` gives the Worker a folder of its own. */
const WORKER = import.meta.url.endsWith(".ts") ? "./worker.ts" : "../worker/worker.js";

const pool: VcpuThread[] = [];

/** A thread that runs one vCPU at a time. */
export class VcpuThread {
  readonly #worker: Worker;
  readonly #lease = new Int32Array(new SharedArrayBuffer(4));
  #report: ((report: VcpuReport) => void) | undefined;
  #broken: string | undefined;

  private constructor() {
    this.#lease[0] = Lease.TAKEN;
    this.#worker = new Worker(new URL(WORKER, import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<VcpuReport>) => {
      if (data.kind !== "ready") this.#report?.(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#broken = event.message;
      this.#report?.({ kind: "failed", message: event.message });
    };
    this.#worker.postMessage(this.#lease);
  }

  /** Takes an idle thread, or starts one. */
  static acquire(): VcpuThread {
    for (let thread = pool.pop(); thread !== undefined; thread = pool.pop()) {
      const was = Atomics.compareExchange(thread.#lease, 0, Lease.IDLE, Lease.TAKEN);
      if (was === Lease.IDLE) return thread;
    }
    return new VcpuThread();
  }

  /**
   * Starts threads before they are needed, while documents and images are read.
   *
   * @param count How many
   */
  static prepare(count: number): void {
    const threads = Array.from({ length: count }, () => new VcpuThread());
    for (const thread of threads) thread.release();
  }

  /**
   * Runs a vCPU until its VM stops.
   *
   * @param assignment What to run
   * @returns What the vCPU ran into, if that is why
   * @throws {VmError} If the thread could not run it
   */
  async run(assignment: VcpuAssignment): Promise<Fault | undefined> {
    const report = await new Promise<VcpuReport>((resolve) => {
      this.#report = resolve;
      if (this.#broken !== undefined) resolve({ kind: "failed", message: this.#broken });
      else this.#worker.postMessage(assignment);
    });
    this.#report = undefined;
    if (report.kind === "failed") {
      throw new VmError(`vCPU ${assignment.id}: ${report.message}`, {
        ...(report.hint === undefined ? {} : { hint: report.hint }),
      });
    }
    return report.kind === "ended" ? report.fault : undefined;
  }

  /** Gives the thread back for the next VM. */
  release(): void {
    if (this.#broken !== undefined) {
      this.#worker.terminate();
      return;
    }
    Atomics.store(this.#lease, 0, Lease.IDLE);
    pool.push(this);
  }
}
