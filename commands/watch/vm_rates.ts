/**
 * What live VMs do just now, a record each: what `top` shows.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { readTextFile } from "../../ffi/files.ts";
import { request } from "../live/clients.ts";
import type { RunDirectory } from "../live/run_directory.ts";
import { difference, figuresOf, type VmFigures } from "./figures.ts";

/** One VM. */
export interface VmRates {
  readonly live: string;
  readonly pid: number;
  /** `running`, `paused`; `?` of one that does not answer. */
  readonly state: string;
  readonly vcpus: number;
  /** Of one CPU of the host, all vCPUs together. */
  readonly cpu_percent: number;
  /** Exits of the guest a second, those that KVM answers too. */
  readonly exits: number;
  /** Bytes of the guest's RAM. */
  readonly memory: number;
  /** Bytes that its owner has in the host's memory, the guest's among them. */
  readonly resident: number;
  /** Bytes a second of disks and shared folders, and of networks. */
  readonly read: number;
  readonly written: number;
  readonly received: number;
  readonly sent: number;
}

/** Which figures of devices make up a rate. */
const DEVICE_FIGURES = {
  read: ["bytes_read"],
  written: ["bytes_written"],
  received: ["rx_bytes"],
  sent: ["tx_bytes"],
} as const;

const ANSWER_MILLISECONDS = 1000;
const PAGE = 4096;

interface Look {
  readonly pid: number;
  readonly figures: VmFigures | undefined;
}

/** Looks at VMs again and again. */
export class VmObserver {
  #before = new Map<string, Look>();

  /**
   * Looks at VMs.
   *
   * @param vms The VMs
   * @returns A record for each that lives; rates are since the last look, 0 for one that is new
   */
  async look(vms: readonly RunDirectory[]): Promise<VmRates[]> {
    const looks = await Promise.all(vms.map((vm) => lookAt(vm)));
    const before = this.#before;
    this.#before = new Map();
    return vms.flatMap(({ name }, i) => {
      const look = looks[i];
      if (look === undefined) return [];
      this.#before.set(name, look);
      const earlier = before.get(name);
      return [rates(name, earlier?.pid === look.pid ? earlier : undefined, look)];
    });
  }
}

/** Undefined of one that has ended. */
async function lookAt(vm: RunDirectory): Promise<Look | undefined> {
  try {
    const { pid } = await request(vm, "status");
    return { pid, figures: await figuresOf(vm, AbortSignal.timeout(ANSWER_MILLISECONDS)) };
  } catch (error) {
    if (error instanceof HvshError) return undefined;
    throw error;
  }
}

function rates(live: string, before: Look | undefined, { pid, figures }: Look): VmRates {
  const resident = residentBytes(pid);
  const none = { vcpus: 0, cpu_percent: 0, exits: 0, memory: 0, resident };
  if (figures === undefined) {
    return { live, pid, state: "?", ...none, read: 0, written: 0, received: 0, sent: 0 };
  }
  const was = before?.figures;
  const seconds = was === undefined ? Infinity : (figures.at - was.at) / 1000;
  const records = difference(was?.records ?? figures.records, figures.records);
  const sum = (part: string, names: readonly string[]) => {
    let total = 0;
    for (const record of records) {
      if (record.part !== part) continue;
      for (const name of names) total += Number(record.figures[name] ?? 0);
    }
    return total;
  };
  const perSecond = (part: string, names: readonly string[]) =>
    Math.max(0, Math.round(sum(part, names) / seconds));
  return {
    live,
    pid,
    state: figures.state,
    vcpus: records.filter(({ part }) => part === "vcpu").length,
    cpu_percent: Math.round(sum("vcpu", ["cpu_ns"]) / seconds / 1e6) / 10,
    exits: perSecond("vcpu", ["exits"]),
    memory: figures.memory,
    resident,
    read: perSecond("device", DEVICE_FIGURES.read),
    written: perSecond("device", DEVICE_FIGURES.written),
    received: perSecond("device", DEVICE_FIGURES.received),
    sent: perSecond("device", DEVICE_FIGURES.sent),
  };
}

/** The second figure of /proc/PID/statm (proc(5)), in bytes; 0 of a process that has just ended. */
function residentBytes(pid: number): number {
  try {
    return Number(readTextFile(`/proc/${pid}/statm`).split(" ")[1]) * PAGE;
  } catch (error) {
    if (error instanceof HvshError) return 0;
    throw error;
  }
}
