/**
 * What live VMs do just now, a record each: what `top` shows.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { readTextFile } from "../../ffi/files.ts";
import { request } from "../live/clients.ts";
import type { RunDirectory } from "../live/run_directory.ts";
import type { FigureRecord } from "../../vmm/debug/machine_figures.ts";
import { difference, figuresOf, type VmFigures } from "./figures.ts";

/** Bytes a second of disks and shared folders, and of networks, consoles and sockets. */
interface TransferRates {
  readonly read: number;
  readonly written: number;
  readonly received: number;
  readonly sent: number;
}

/** One VM. */
export interface VmRates extends TransferRates {
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
}

/** One vCPU; percents are of one CPU of the host. */
export interface VcpuRates {
  readonly live: string;
  readonly vcpu: number;
  readonly cpu_percent: number;
  /** In the host's kernel: KVM's own work. */
  readonly system_percent: number;
  /** Ready to run while others had the CPU. */
  readonly wait_percent: number;
  readonly exits: number;
}

/** One device. */
export interface DeviceRates extends TransferRates {
  readonly live: string;
  readonly device: string;
  /** Requests and packets a second. */
  readonly operations: number;
  /** Those that failed or were dropped, a second. */
  readonly errors: number;
  /** How often it told its driver of something, and its driver it, a second. */
  readonly interrupts: number;
  readonly notifications: number;
}

/** One look at a VM and its parts. */
export interface VmLook {
  readonly vm: VmRates;
  readonly vcpus: readonly VcpuRates[];
  readonly devices: readonly DeviceRates[];
}

/** Which figures of devices make up a rate of bytes. */
const TRANSFERS = {
  read: ["bytes_read"],
  written: ["bytes_written"],
  received: ["rx_bytes", "received_bytes", "received"],
  sent: ["tx_bytes", "sent_bytes", "transmitted"],
} as const;
/** Which ones count what was done, and what was not. */
const OPERATIONS = [
  ...["requests", "reads", "writes", "flushes", "discards", "write_zeroes"],
  ...["rx_packets", "tx_packets", "received_packets", "sent_packets"],
];
const ERRORS = ["errors", "rx_errors", "tx_errors", "rx_dropped", "tx_dropped"];

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
   * @returns What each that lives does; rates are since the last look, 0 for one that is new
   */
  async look(vms: readonly RunDirectory[]): Promise<VmLook[]> {
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

function rates(live: string, before: Look | undefined, { pid, figures }: Look): VmLook {
  const resident = residentBytes(pid);
  if (figures === undefined) {
    const none = { vcpus: 0, cpu_percent: 0, exits: 0, memory: 0, resident };
    const vm = { live, pid, state: "?", ...none, ...transfers(() => 0) };
    return { vm, vcpus: [], devices: [] };
  }
  const was = before?.figures;
  const seconds = was === undefined ? Infinity : (figures.at - was.at) / 1000;
  const records = difference(was?.records ?? figures.records, figures.records);
  const vcpus = records.filter(({ part }) => part === "vcpu");
  const devices = records.filter(({ part }) => part === "device");
  const perSecond = (of: readonly FigureRecord[], names: readonly string[]) =>
    Math.max(0, Math.round(sum(of, names) / seconds));
  const percent = (of: readonly FigureRecord[], name: string) =>
    Math.max(0, Math.round(sum(of, [name]) / seconds / 1e6) / 10);
  return {
    vm: {
      live,
      pid,
      state: figures.state,
      vcpus: vcpus.length,
      cpu_percent: percent(vcpus, "cpu_ns"),
      exits: perSecond(vcpus, ["exits"]),
      memory: figures.memory,
      resident,
      ...transfers((names) => perSecond(devices, names)),
    },
    vcpus: vcpus.map((record) => ({
      live,
      vcpu: record.id as number,
      cpu_percent: percent([record], "cpu_ns"),
      system_percent: percent([record], "system_ns"),
      wait_percent: percent([record], "wait_ns"),
      exits: perSecond([record], ["exits"]),
    })),
    devices: devices.map((record) => ({
      live,
      device: record.id as string,
      ...transfers((names) => perSecond([record], names)),
      operations: perSecond([record], OPERATIONS),
      errors: perSecond([record], ERRORS),
      interrupts: perSecond([record], ["interrupts"]),
      notifications: perSecond([record], ["notifications"]),
    })),
  };
}

function transfers(rate: (names: readonly string[]) => number): TransferRates {
  return {
    read: rate(TRANSFERS.read),
    written: rate(TRANSFERS.written),
    received: rate(TRANSFERS.received),
    sent: rate(TRANSFERS.sent),
  };
}

function sum(records: readonly FigureRecord[], names: readonly string[]): number {
  let total = 0;
  for (const { figures } of records) {
    for (const [figure, value] of Object.entries(figures)) {
      // A console's port has its name before the figure's.
      const name = figure.slice(figure.lastIndexOf(".") + 1);
      if (names.includes(name)) total += Number(value);
    }
  }
  return total;
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
