/**
 * What is counted of a machine: by KVM (KVM_GET_STATS_FD), by the host's scheduler (proc(5)), and by its
 * devices.
 *
 * @module
 */
import { HostError } from "../../ffi/errors.ts";
import { readTextFile } from "../../ffi/files.ts";
import { KvmStats, type StatsValue } from "../../ffi/kvm/stats.ts";
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";
import type { WatchedMachine } from "./machine_watch.ts";

/** Figures of one part of a machine, by name. */
export interface FigureRecord {
  /** Which part. */
  readonly part: "vm" | "vcpu" | "device";
  /** Number of the vCPU, or name of the device. */
  readonly id?: number | string;
  /** What has been counted since the start, and what is now. */
  readonly figures: Readonly<Record<string, StatsValue>>;
  /** Names of those that are what is now, or the most so far: a difference of two means nothing. */
  readonly gauges: readonly string[];
}

/** clock ticks a second: USER_HZ is 100 on x86 (proc(5), sysconf(_SC_CLK_TCK)). */
const TICK_NS = 1e7;
/** Fields of /proc/PID/stat behind the name's `)` (proc(5) counts from 1, and the name is 2). */
const StatField = { UTIME: 14 - 3, STIME: 15 - 3, GUEST_TIME: 43 - 3 } as const;

/** Reads a machine's figures again and again. */
export class MachineFigures implements Disposable {
  readonly #machine: WatchedMachine;
  readonly #vm: KvmStats | undefined;
  readonly #vcpus: readonly (KvmStats | undefined)[];

  /**
   * Opens KVM's figures, which older kernels don't have.
   *
   * @param machine The machine
   * @param vcpus Its vCPUs, held
   */
  constructor(machine: WatchedMachine, vcpus: readonly Vcpu[]) {
    this.#machine = machine;
    this.#vm = openStats(machine.vmFd);
    this.#vcpus = vcpus.map(({ fd }) => openStats(fd));
  }

  /** Reads all of them as they are now. */
  read(): FigureRecord[] {
    const records: FigureRecord[] = [];
    if (this.#vm !== undefined) records.push({ part: "vm", ...kvmFigures(this.#vm) });
    for (const [id, stats] of this.#vcpus.entries()) {
      const { figures, gauges } = stats === undefined ? NONE : kvmFigures(stats);
      const times = threadTimes(this.#machine.threadId(id));
      records.push({ part: "vcpu", id, figures: { ...times, ...figures }, gauges });
    }
    const stats = this.#machine.deviceStats();
    for (const { name: id, device } of this.#machine.devices) {
      const figures = stats[id];
      if (figures === undefined) continue;
      records.push({ part: "device", id, figures, gauges: device.gauges ?? [] });
    }
    return records;
  }

  [Symbol.dispose](): void {
    this.#vm?.[Symbol.dispose]();
    for (const stats of this.#vcpus) stats?.[Symbol.dispose]();
  }
}

const NONE = { figures: {}, gauges: [] };

function openStats(fd: number): KvmStats | undefined {
  try {
    return new KvmStats(fd);
  } catch (error) {
    if (error instanceof HostError) return undefined;
    throw error;
  }
}

function kvmFigures(stats: KvmStats): Pick<FigureRecord, "figures" | "gauges"> {
  const gauges = stats.layout.figures
    .filter(({ kind }) => kind === "instant" || kind === "peak")
    .map(({ name }) => name);
  return { figures: stats.read(), gauges };
}

/**
 * What a vCPU's thread has had of the host's CPUs, in nanoseconds: all of it, of that in the guest and in
 * the host's kernel, and how long it waited for a CPU.
 */
function threadTimes(tid: number): Record<string, number> {
  if (tid === 0) return {};
  const folder = `/proc/self/task/${tid}`;
  try {
    const text = readTextFile(`${folder}/stat`);
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number);
    const ticks = (field: number) => fields[field]! * TICK_NS;
    // Fine where the kernel has CONFIG_SCHED_INFO, by ticks elsewhere.
    const [ran, waited] = schedule(folder) ??
      [ticks(StatField.UTIME) + ticks(StatField.STIME), undefined];
    return {
      cpu_ns: ran!,
      guest_ns: ticks(StatField.GUEST_TIME),
      system_ns: ticks(StatField.STIME),
      ...(waited === undefined ? {} : { wait_ns: waited }),
    };
  } catch (error) {
    if (error instanceof HostError) return {}; // it has just ended
    throw error;
  }
}

function schedule(folder: string): (number | undefined)[] | undefined {
  try {
    return readTextFile(`${folder}/schedstat`).split(" ").map(Number);
  } catch (error) {
    if (error instanceof HostError) return undefined;
    throw error;
  }
}
