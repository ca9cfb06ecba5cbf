/**
 * What is counted of a live VM, as its owner tells it, and what happened between two looks.
 *
 * @module
 */
import type { FigureRecord } from "../../vmm/debug/machine_figures.ts";
import { call } from "../live/json_rpc.ts";
import type { RunDirectory } from "../live/run_directory.ts";

/** One look at a VM. */
export interface VmFigures {
  /** What it does: `running`, `paused`. */
  readonly state: string;
  /** Bytes of its RAM. */
  readonly memory: number;
  readonly records: readonly FigureRecord[];
  /** When it was looked at, in milliseconds; only differences mean something. */
  readonly at: number;
}

/**
 * Looks at a VM.
 *
 * @param vm The VM
 * @param signal Ends the wait for its answer
 * @returns What is counted of it; undefined if the signal came first
 * @throws {VmError} If it has ended
 */
export async function figuresOf(
  vm: RunDirectory,
  signal?: AbortSignal,
): Promise<VmFigures | undefined> {
  const figures = await call(vm.control, "watch.figures", {}, signal) as
    | Omit<VmFigures, "at">
    | undefined;
  return figures && { ...figures, at: performance.now() };
}

/** The key of a part of a VM, such as `vcpu 0`. */
export function partKey({ part, id }: FigureRecord): string {
  return id === undefined ? part : `${part} ${id}`;
}

/**
 * What happened between two looks.
 *
 * @param before The first; a part that was not there then counts from 0
 * @param after The second
 * @returns Its parts with differences; what is no count is as it is now
 */
export function difference(
  before: readonly FigureRecord[],
  after: readonly FigureRecord[],
): FigureRecord[] {
  const earlier = new Map(before.map((record) => [partKey(record), record.figures]));
  return after.map((record) => {
    const was = earlier.get(partKey(record)) ?? {};
    const figures = Object.entries(record.figures).map(([name, value]) => {
      if (record.gauges.includes(name)) return [name, value];
      const old = was[name] ?? 0;
      if (typeof value === "number") return [name, value - (typeof old === "number" ? old : 0)];
      return [name, value.map((n, i) => n - (typeof old === "number" ? 0 : old[i] ?? 0))];
    });
    return { ...record, figures: Object.fromEntries(figures) };
  });
}
