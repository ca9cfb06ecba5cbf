/**
 * Watching a VM: what is counted, its exits, where its vCPUs stand. Each goes on until
 * its options or a `break` end it, or the VM has ended.
 *
 * @module
 */
import type { TracedExit, TraceOptions } from "../../vmm/debug/exit_trace.ts";
import type { FigureRecord } from "../../vmm/debug/machine_figures.ts";
import type { ProfileOptions, StackSample } from "../../vmm/debug/profile.ts";
import { delay } from "../live/delay.ts";
import { difference } from "../watch/figures.ts";
import type { WatchSource } from "./watch_source.ts";

/** How to look at what is counted. */
export interface FigureOptions {
  /** Seconds between two looks. Default 1. */
  readonly interval?: number;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** One VM's watchers. */
export class VmWatch {
  readonly #source: WatchSource;

  /**
   * @param source The VM
   */
  constructor(source: WatchSource) {
    this.#source = source;
  }

  /**
   * Looks at what KVM, the host's scheduler and the devices count.
   *
   * @param options How often
   * @returns A record for the VM, each vCPU and each device at each look: first since the VM's start, then
   *   since the look before
   * @throws {VmError} If the VM does not run
   * @example
   * ```ts
   * import { create } from "../../mod.ts";
   *
   * await using vm = await create({ memory: "1M" }).flat(Uint8Array.of(0xeb, 0xfe)).start();
   * for await (const records of vm.watch.figures({ interval: 0.1 })) {
   *   const vcpu = records.find(({ part }) => part === "vcpu");
   *   console.log(vcpu?.figures.exits);
   *   break;
   * }
   * ```
   */
  async *figures(options: FigureOptions = {}): AsyncGenerator<readonly FigureRecord[]> {
    const { interval = 1, signal = new AbortController().signal } = options;
    const source = this.#source;
    let before = await source.figures();
    yield before;
    while (await delay(interval * 1000, signal)) {
      if (!source.lives) return;
      const now = await source.figures();
      yield difference(before, now);
      before = now;
    }
  }

  /**
   * Traces exits.
   *
   * @param options Which, and for how long
   * @returns Each exit, of each vCPU in order
   * @throws {VmError} If the VM does not run, or has no such device, vCPU or reason
   */
  async *exits(options: TraceOptions = {}): AsyncGenerator<TracedExit> {
    for await (const batch of this.#source.exits(options)) yield* batch;
  }

  /**
   * Samples where vCPUs stand, and who called what they run.
   *
   * @param options How often, and for how long
   * @returns Each sample
   * @throws {VmError} If the VM does not run, or cannot be sampled so
   */
  async *samples(options: ProfileOptions = {}): AsyncGenerator<StackSample> {
    for await (const batch of this.#source.samples(options)) yield* batch;
  }
}
