/**
 * Exits and samples as JSON: addresses and values as `"0x…"`, times in nanoseconds.
 *
 * @module
 */
import type { TracedExit } from "../../vmm/debug/exit_trace.ts";
import type { StackMode, StackSample } from "../../vmm/debug/profile.ts";
import type { AddressSpan } from "../../vmm/debug/watch_plan.ts";

/** An exit; keys as in {@linkcode TracedExit}. */
export type ExitJson = Readonly<Record<string, string | number | null>>;

/** A sample. */
export interface SampleJson {
  readonly time_ns: number;
  readonly vcpu: number;
  readonly mode: StackMode;
  readonly cr3: string;
  readonly frames: readonly string[];
}

/** What a VM is asked to trace. */
export interface TraceRequest {
  readonly reasons?: readonly string[];
  readonly ports?: AddressSpan;
  readonly addresses?: AddressSpan;
  readonly device?: string;
  readonly cpus?: readonly number[];
  readonly count?: number;
  readonly seconds?: number;
}

/** What a VM is asked to sample. */
export interface ProfileRequest {
  readonly frequency?: number;
  readonly cpus?: readonly number[];
  readonly seconds?: number;
}

/** A number as hexadecimal text. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/** Writes an exit. */
export function exitToJson(exit: TracedExit): ExitJson {
  const { time_ns, vcpu, reason, port, address, msr, direction, size, count, value, ...rest } =
    exit;
  return {
    time_ns,
    vcpu,
    reason,
    ...(port === undefined ? {} : { port: hex(port) }),
    ...(address === undefined ? {} : { address: hex(address) }),
    ...(msr === undefined ? {} : { msr: hex(msr) }),
    ...(direction === undefined ? {} : { direction, size: size! }),
    ...(count === undefined ? {} : { count }),
    ...(value === undefined ? {} : { value: hex(value) }),
    ...rest,
  };
}

/** Reads an exit. */
export function exitFromJson(exit: ExitJson): TracedExit {
  const { port, address, msr, value, ...rest } = exit;
  return {
    ...rest,
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(address === undefined ? {} : { address: Number(address) }),
    ...(msr === undefined ? {} : { msr: Number(msr) }),
    ...(value === undefined ? {} : { value: BigInt(value!) }),
  } as TracedExit;
}

/** Writes a sample. */
export function sampleToJson(sample: StackSample): SampleJson {
  const { cr3, frames } = sample;
  return { ...sample, cr3: hex(cr3), frames: frames.map(hex) };
}

/** Reads a sample. */
export function sampleFromJson(sample: SampleJson): StackSample {
  return { ...sample, cr3: BigInt(sample.cr3), frames: sample.frames.map(BigInt) };
}
