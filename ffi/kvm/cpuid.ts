/**
 * Lists of CPUID leaves, `struct kvm_cpuid2`.
 *
 * @module
 */
import { kvm_cpuid_entry2 } from "./structs.ts";

/** Far more than any host has; KVM says E2BIG otherwise. */
export const MAX_CPUID_ENTRIES = 256;

/** One leaf of CPUID. */
export interface CpuidEntry {
  function: number;
  index: number;
  flags: number;
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

/**
 * Packs leaves.
 *
 * @param entries The leaves
 * @param capacity How many leaves there is room for
 * @returns `struct kvm_cpuid2`, `nent` set to the capacity
 */
export function packCpuid(
  entries: readonly CpuidEntry[],
  capacity = entries.length,
): DataView<ArrayBuffer> {
  const buffer = new DataView(new ArrayBuffer(8 + kvm_cpuid_entry2.size * capacity));
  buffer.setUint32(0, capacity, true);
  entries.forEach((entry, i) => {
    Object.assign(new kvm_cpuid_entry2(buffer, 8 + i * kvm_cpuid_entry2.size), entry);
  });
  return buffer;
}

/** Unpacks `struct kvm_cpuid2`. */
export function unpackCpuid(buffer: DataView): CpuidEntry[] {
  return Array.from({ length: buffer.getUint32(0, true) }, (_, i) => {
    const { function: leaf, index, flags, eax, ebx, ecx, edx } = new kvm_cpuid_entry2(
      buffer,
      8 + i * kvm_cpuid_entry2.size,
    );
    return { function: leaf, index, flags, eax, ebx, ecx, edx };
  });
}
