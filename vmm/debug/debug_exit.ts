/**
 * What a KVM_EXIT_DEBUG says, read while the vCPU stands.
 *
 * @module
 */
import { RunOffset } from "../../ffi/kvm/structs.ts";
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";
import { DebugStopKind } from "../arena.ts";

/** Vectors (SDM vol. 3, 6.15). */
export const Vector = { DB: 1, BP: 3 } as const;
/** Bits of DR6: which register's condition was met, and a single step. */
export const Dr6 = { SLOTS: 0xf, BS: 1 << 14 } as const;

/** A debug exit. */
export interface DebugExit {
  /** {@linkcode Vector}: a debug register or step, or an INT3; 0 for anything else. */
  readonly vector: number;
  /** DR6's low half. */
  readonly dr6: number;
}

/**
 * Reads the last exit of a vCPU that stands for the debugger.
 *
 * @param vcpu The vCPU
 * @param kind What it stands for, a {@linkcode DebugStopKind}
 */
export function readDebugExit(vcpu: Vcpu, kind: number): DebugExit {
  if (kind !== DebugStopKind.EXIT) return { vector: 0, dr6: 0 };
  const view = new DataView(vcpu.run.buffer);
  return {
    vector: view.getUint32(RunOffset["debug.arch.exception"], true),
    dr6: view.getUint32(RunOffset["debug.arch.dr6"], true),
  };
}

/**
 * Where a vCPU is.
 *
 * @param vcpu The vCPU, which stands
 * @returns The linear address of its next instruction: CS base and RIP together but in 64-bit code
 */
export function linearPc(vcpu: Vcpu): bigint {
  const { rip } = vcpu.getRegs();
  const { cs } = vcpu.getSregs();
  return cs.l !== 0 ? rip : (cs.base + rip) & 0xffff_ffffn;
}
