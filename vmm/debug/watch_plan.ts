/**
 * What a vCPU's thread is to watch: plain data, fit for postMessage. A plan holds all of it, so that the
 * last one that a thread got is what counts.
 *
 * @module
 */

/** Ports or addresses, `end` not included. */
export interface AddressSpan {
  readonly base: number;
  readonly end: number;
}

/** Which exits to record; all that is given must hold. */
export interface ExitFilter {
  /** Numbers of exit reasons (`KVM_EXIT_*`). */
  readonly reasons?: readonly number[];
  /** Ports; an access in them, or in {@linkcode addresses} where both are given. */
  readonly ports?: AddressSpan;
  /** Guest-physical addresses. */
  readonly addresses?: AddressSpan;
  /** Index of the lock of the device that answers. */
  readonly device?: number;
}

/** One reader of exits. */
export interface TracePlan {
  readonly filter: ExitFilter;
  /** A ring for each vCPU, with nothing for those that it is not about. */
  readonly rings: readonly (SharedArrayBuffer | undefined)[];
}

/** All that is watched in one VM. */
export interface WatchPlan {
  readonly traces: readonly TracePlan[];
  /** For each reader of samples a ring for each vCPU. */
  readonly profiles: readonly (readonly (SharedArrayBuffer | undefined)[])[];
}
