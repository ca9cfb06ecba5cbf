/**
 * Samples where a machine's vCPUs stand, a number of times a second.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import { chosenRings } from "./exit_trace.ts";
import type { MachineWatch } from "./machine_watch.ts";
import type { RecordRing } from "./record_ring.ts";
import { readRings } from "./ring_reader.ts";
import { SAMPLE_BYTES, SampleMode, SampleOffset } from "./sample_layout.ts";

/** Samples of one vCPU that wait to be read. */
const CAPACITY = 256;
/** A timer of JavaScript knows no less than a millisecond. */
export const MOST_FREQUENCY = 1000;
/** perf's own: no multiple of what guests' timers have. */
export const DEFAULT_FREQUENCY = 99;

/** How to sample. */
export interface ProfileOptions {
  /** Samples of each vCPU in a second, 1 to 1000. Default 99. */
  readonly frequency?: number;
  /** The vCPUs; all if left out. */
  readonly cpus?: readonly number[];
  /** Ends it after so many seconds. */
  readonly seconds?: number;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** What a vCPU does at a sample: halted, whatever its privilege, is idle. */
export type StackMode = "kernel" | "user" | "idle";

const MODES: Readonly<Record<number, StackMode>> = {
  [SampleMode.KERNEL]: "kernel",
  [SampleMode.USER]: "user",
  [SampleMode.IDLE]: "idle",
};

/** Where a vCPU stood. */
export interface StackSample {
  /** Nanoseconds of the host's CLOCK_MONOTONIC. */
  readonly time_ns: number;
  readonly vcpu: number;
  readonly mode: StackMode;
  /** CR3, which tells processes apart. */
  readonly cr3: bigint;
  /** Linear addresses, the innermost first: where it stands, then return addresses. */
  readonly frames: readonly bigint[];
}

/**
 * Samples until it is told to end or the machine has ended.
 *
 * @param watch The machine's watchers
 * @param options How
 * @returns Samples as they come; none of a machine while it is paused
 * @throws {VmError} If the machine does not run, or cannot be sampled so
 */
export async function* profile(
  watch: MachineWatch,
  options: ProfileOptions = {},
): AsyncGenerator<StackSample[]> {
  const { frequency = DEFAULT_FREQUENCY } = options;
  if (!(frequency >= 1 && frequency <= MOST_FREQUENCY)) {
    throw new VmError(`Cannot sample ${frequency} times a second: it can be 1 to 1000`);
  }
  const { machine } = watch;
  const rings = chosenRings(machine.cpus, options.cpus, SAMPLE_BYTES, CAPACITY);
  const end = await watch.profile(rings.map((ring) => ring?.buffer));
  const read = rings.map((ring) => ring && reader(ring.buffer));
  const kicker = new Kicker(frequency, () => {
    if (!machine.lives) return;
    for (const [vcpu, ring] of rings.entries()) {
      if (ring?.want()) machine.kick(vcpu);
    }
  });
  try {
    const batches = readRings<StackSample>(rings, (vcpu, at) => read[vcpu]!(vcpu, at), {
      ...options,
      ended: machine.ended,
    });
    for await (const { records } of batches) yield records;
  } finally {
    kicker[Symbol.dispose]();
    await end();
  }
}

/** Does something at a rate; a moment that was missed is not made up for. */
class Kicker implements Disposable {
  readonly #period: number;
  readonly #work: () => void;
  #due = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(frequency: number, work: () => void) {
    this.#period = 1000 / frequency;
    this.#work = work;
    this.#wait();
  }

  #wait(): void {
    const now = performance.now();
    this.#due = Math.max(this.#due + this.#period, now);
    this.#timer = setTimeout(() => {
      this.#work();
      this.#wait();
    }, this.#due - now);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** Makes what reads the samples of one ring. */
function reader(buffer: RecordRing["buffer"]) {
  const view = new DataView(buffer);
  return (vcpu: number, at: number): StackSample => {
    const count = view.getUint32(at + SampleOffset.COUNT, true);
    return {
      time_ns: view.getFloat64(at + SampleOffset.TIME, true),
      vcpu,
      mode: MODES[view.getUint32(at + SampleOffset.MODE, true)]!,
      cr3: view.getBigUint64(at + SampleOffset.CR3, true),
      frames: Array.from(
        { length: count },
        (_, i) => view.getBigUint64(at + SampleOffset.FRAMES + 8 * i, true),
      ),
    };
  };
}
