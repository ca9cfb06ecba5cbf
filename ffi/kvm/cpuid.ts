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
  const words = new Uint32Array((8 + kvm_cpuid_entry2.size * capacity) / 4);
  words[0] = capacity;
  let at = 2;
  for (const { function: leaf, index, flags, eax, ebx, ecx, edx } of entries) {
    words.set([leaf, index, flags, eax, ebx, ecx, edx], at);
    at += kvm_cpuid_entry2.size / 4;
  }
  return new DataView(words.buffer);
}

/** Unpacks `struct kvm_cpuid2`. */
export function unpackCpuid(buffer: DataView): CpuidEntry[] {
  return Array.from({ length: buffer.getUint32(0, true) }, (_, i) => {
    const at = 8 + i * kvm_cpuid_entry2.size;
    const word = (n: number) => buffer.getUint32(at + 4 * n, true);
    return {
      function: word(0),
      index: word(1),
      flags: word(2),
      eax: word(3),
      ebx: word(4),
      ecx: word(5),
      edx: word(6),
    };
  });
}

/**
 * Whether two lists say the same, in the same order.
 *
 * @param some Leaves
 * @param others Leaves
 */
export function sameCpuid(some: readonly CpuidEntry[], others: readonly CpuidEntry[]): boolean {
  return some.length === others.length && some.every((one, i) => {
    const other = others[i]!;
    return one.function === other.function && one.index === other.index &&
      one.flags === other.flags && one.eax === other.eax && one.ebx === other.ebx &&
      one.ecx === other.ecx && one.edx === other.edx;
  });
}
