/**
 * Reads the exits of a machine while it runs.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import { Exit } from "../../ffi/kvm/exit.ts";
import { nearestWord } from "../nearest_word.ts";
import { ACCESS_WRITE, EXIT_BYTES, ExitDouble, ExitWord } from "./exit_layout.ts";
import type { MachineWatch } from "./machine_watch.ts";
import { readRings } from "./ring_reader.ts";
import { RecordRing } from "./record_ring.ts";
import type { AddressSpan, ExitFilter } from "./watch_plan.ts";

/** Records of one vCPU that wait to be read: 20 ms of it at 1.6 M exits a second. */
const CAPACITY = 32768;
/** Where KVM itself numbers no more reasons. */
const MOST_REASONS = 64;

/** Which exits to trace, and for how long; what is left out is all. */
export interface TraceOptions {
  /** Names of reasons: `io`, `mmio`, `hlt`… */
  readonly reasons?: readonly string[];
  /** Ports. */
  readonly ports?: AddressSpan;
  /** Guest-physical addresses. */
  readonly addresses?: AddressSpan;
  /** Name of the device that answers. */
  readonly device?: string;
  /** The vCPUs. */
  readonly cpus?: readonly number[];
  /** Ends it after so many records. */
  readonly count?: number;
  /** Ends it after so many seconds. */
  readonly seconds?: number;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** One exit, as it reached user space; what KVM answers itself does not. */
export interface TracedExit {
  /** Nanoseconds of the host's CLOCK_MONOTONIC when KVM_RUN came back. */
  readonly time_ns: number;
  readonly vcpu: number;
  /** `io`, `mmio`, `hlt`, `intr` for a kick… as KVM_EXIT_* has them; `lost` for those that no ring had room for. */
  readonly reason: string;
  /** Of `io`: the port. */
  readonly port?: number;
  /** Of `mmio`: the guest-physical address. */
  readonly address?: number;
  /** Of `x86_rdmsr` and `x86_wrmsr`: the MSR. */
  readonly msr?: number;
  /** `in` if the guest reads. */
  readonly direction?: "in" | "out";
  /** Bytes of the access. */
  readonly size?: number;
  /** Elements of a `rep ins` or `rep outs`, if more than one. */
  readonly count?: number;
  /** What the guest wrote or got; of the first element. */
  readonly value?: bigint;
  /** The device that answered; null where nobody does. */
  readonly device?: string | null;
  /** Nanoseconds until it was answered. */
  readonly handled_ns?: number;
  /** Of `lost`: how many. */
  readonly lost?: number;
}

const REASONS: ReadonlyMap<number, string> = new Map(
  Object.entries(Exit).map(([name, number]) => [number, name.toLowerCase()]),
);

/** The names of all exit reasons. */
export const exitReasons: readonly string[] = [...REASONS.values()];

/**
 * The number of an exit reason.
 *
 * @param name `io`, `IO` or `KVM_EXIT_IO`
 * @returns Its number
 * @throws {VmError} If there is none of that name
 */
export function exitReason(name: string): number {
  const plain = name.toLowerCase().replace(/^kvm_exit_/, "");
  for (const [number, known] of REASONS) if (known === plain) return number;
  const near = nearestWord(plain, exitReasons);
  throw new VmError(`There is no exit reason "${name}"`, {
    hint: near === undefined ? "io, mmio, hlt, intr, shutdown…" : `did you mean ${near}?`,
  });
}

/**
 * Traces exits until it is told to end or the machine has ended.
 *
 * @param watch The machine's watchers
 * @param options Which exits
 * @returns Nothing as soon as it is on, then records as they come: of each vCPU in order, of several in
 *   order within a look
 * @throws {VmError} If the machine does not run, or it has no such device, vCPU or reason
 */
export async function* traceExits(
  watch: MachineWatch,
  options: TraceOptions = {},
): AsyncGenerator<TracedExit[]> {
  const { machine } = watch;
  const names = new Map(machine.devices.map(({ lock, name }) => [lock, name]));
  const rings = chosenRings(machine.cpus, options.cpus, EXIT_BYTES, CAPACITY);
  const end = await watch.trace({
    filter: exitFilter(options, names),
    rings: rings.map((ring) => ring?.buffer),
  });
  const nameOf = (lock: number) => {
    const name = names.get(lock);
    if (name !== undefined) return name;
    for (const device of machine.devices) names.set(device.lock, device.name); // it came meanwhile
    return names.get(lock) ?? null;
  };
  const read = rings.map((ring) => ring && reader(ring.buffer, nameOf));
  let left = options.count ?? Infinity;
  try {
    yield [];
    if (left <= 0) return;
    for await (
      const batch of readRings(rings, (vcpu, at) => read[vcpu]!(vcpu, at), {
        ...options,
        ended: machine.ended,
      })
    ) {
      const inOrder = batch.records.sort((a, b) => a.time_ns - b.time_ns);
      const records: TracedExit[] = inOrder.slice(0, left);
      left -= records.length;
      for (const { vcpu, lost } of batch.lost) {
        records.push({ time_ns: batch.time_ns, vcpu, reason: "lost", lost });
      }
      yield records;
      if (left <= 0) return;
    }
  } finally {
    await end();
  }
}

/**
 * Makes a ring for each vCPU that is asked for.
 *
 * @param cpus How many there are
 * @param chosen Their numbers; all if left out
 * @param recordBytes Bytes of a record
 * @param capacity Records of a ring
 * @returns The rings by vCPU
 * @throws {VmError} If there is no such vCPU
 */
export function chosenRings(
  cpus: number,
  chosen: readonly number[] | undefined,
  recordBytes: number,
  capacity: number,
): (RecordRing | undefined)[] {
  const missing = chosen?.find((cpu) => !Number.isInteger(cpu) || cpu < 0 || cpu >= cpus);
  if (missing !== undefined) throw new VmError(`There is no vCPU ${missing}: it has ${cpus}`);
  return Array.from(
    { length: cpus },
    (_, cpu) =>
      chosen?.includes(cpu) === false ? undefined : RecordRing.create(recordBytes, capacity),
  );
}

function exitFilter(options: TraceOptions, names: ReadonlyMap<number, string>): ExitFilter {
  const { reasons, ports, addresses, device } = options;
  const lock = [...names].find(([, name]) => name === device)?.[0];
  if (device !== undefined && lock === undefined) {
    const near = nearestWord(device, [...names.values()]);
    throw new VmError(`There is no device "${device}"`, {
      hint: near === undefined ? [...names.values()].join(", ") : `did you mean ${near}?`,
    });
  }
  return {
    ...(reasons === undefined ? {} : { reasons: reasons.map(exitReason) }),
    ...(ports === undefined ? {} : { ports }),
    ...(addresses === undefined ? {} : { addresses }),
    ...(lock === undefined ? {} : { device: lock }),
  };
}

/** Makes what reads the records of one ring. */
function reader(buffer: SharedArrayBuffer, nameOf: (lock: number) => string | null) {
  const doubles = new Float64Array(buffer);
  const words = new Uint32Array(buffer);
  return (vcpu: number, at: number): TracedExit => {
    const double = at / 8;
    const word = at / 4;
    const reason = words[word + ExitWord.REASON]!;
    const access = words[word + ExitWord.ACCESS]!;
    const count = words[word + ExitWord.COUNT]!;
    const address = words[word + ExitWord.ADDRESS]! + words[word + ExitWord.ADDRESS + 1]! * 2 ** 32;
    const value = BigInt(words[word + ExitWord.VALUE]!) |
      BigInt(words[word + ExitWord.VALUE + 1]!) << 32n;
    const direction = (access & ACCESS_WRITE) !== 0 ? "out" : "in";
    const size = access & 0xff;
    const device = () => ({ device: nameOf(words[word + ExitWord.DEVICE]!) });
    const what = (): Partial<TracedExit> => {
      switch (reason) {
        case Exit.IO: {
          const many = count === 1 ? {} : { count };
          return { port: address, direction, size, ...many, value, ...device() };
        }
        case Exit.MMIO:
          return { address, direction, size, value, ...device() };
        case Exit.X86_RDMSR:
          return { msr: address, direction, size };
        case Exit.X86_WRMSR:
          return { msr: address, direction, size, value };
        default:
          return {};
      }
    };
    return {
      time_ns: doubles[double + ExitDouble.TIME]!,
      vcpu,
      reason: REASONS.get(reason) ?? `${reason & (MOST_REASONS - 1)}`,
      ...what(),
      handled_ns: doubles[double + ExitDouble.TOOK]!,
    };
  };
}
