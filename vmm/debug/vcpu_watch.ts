/**
 * What a vCPU's thread has of a {@linkcode WatchPlan}: loaded when the first one comes.
 *
 * @module
 */
import type { DeviceSet } from "../device_set.ts";
import { ExitTracer } from "./exit_tracer.ts";
import { OwnMemory } from "./physical_memory.ts";
import { VcpuSampler } from "./vcpu_sampler.ts";
import type { WatchPlan } from "./watch_plan.ts";

/** What watches one vCPU; what is off is left out. */
export interface VcpuWatch {
  readonly tracer: ExitTracer | undefined;
  readonly sampler: VcpuSampler | undefined;
}

/**
 * Opens a plan in a vCPU's thread.
 *
 * @param plan What to watch
 * @param vcpu The vCPU: its number, descriptor, `struct kvm_run` and devices
 * @returns What its loop calls
 */
export function watchVcpu(
  plan: WatchPlan,
  vcpu: { id: number; fd: number; run: ArrayBuffer; devices: DeviceSet },
): VcpuWatch {
  const { id, fd, run, devices } = vcpu;
  const sinks = plan.traces.flatMap(({ filter, rings }) => {
    const ring = rings[id];
    return ring === undefined ? [] : [{ ring, filter }];
  });
  const samples = plan.profiles.map((rings) => rings[id]).filter((ring) => ring !== undefined);
  return {
    tracer: sinks.length === 0 ? undefined : new ExitTracer(run, devices.bus, sinks),
    sampler: samples.length === 0
      ? undefined
      : new VcpuSampler(fd, new OwnMemory(devices.memory), samples),
  };
}
