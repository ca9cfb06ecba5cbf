/**
 * What CPUID tells a guest: what KVM supports, through a template and masks, with each vCPU's own
 * numbers in it.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import type { CpuidEntry } from "../../ffi/kvm/cpuid.ts";
import { nearestWord } from "../nearest_word.ts";
import { featureBit, featureNames } from "./features.ts";

/** KVM_CPUID_FLAG_SIGNIFCANT_INDEX: the leaf has subleaves. */
const SIGNIFICANT_INDEX = 1;
const LEVEL_SMT = 1;
const LEVEL_CORE = 2;

/** Features that 64-bit Linux needs, and no more: a guest that runs on any x86-64 host. */
const MINIMAL = new Set(
  ("fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 " +
    "pni cx16 x2apic tsc_deadline_timer hypervisor syscall nx lm lahf_lm constant_tsc").split(" "),
);

/** The document's wishes, and the machine's. */
export interface CpuidOptions {
  /** `host` gives all that KVM supports; `minimal` only what every x86-64 has. */
  readonly template?: "host" | "minimal" | undefined;
  /** Features to take away. */
  readonly mask?: readonly string[] | undefined;
  /** How many vCPUs there are. */
  readonly cpus: number;
  /** Whether KVM has local APICs with a TSC deadline timer (KVM_CAP_TSC_DEADLINE_TIMER). */
  readonly tscDeadline: boolean;
}

/**
 * Makes the CPUID of all vCPUs but for their own numbers.
 *
 * @param supported What KVM_GET_SUPPORTED_CPUID gave
 * @param options The wishes
 * @returns Leaves for {@linkcode cpuidFor}
 * @throws {DocumentError} If a masked feature has no such name
 */
export function composeCpuid(
  supported: readonly CpuidEntry[],
  options: CpuidOptions,
): CpuidEntry[] {
  const entries = supported.map((entry) => ({ ...entry }));
  const set = (name: string, on: boolean) => {
    const { leaf, index, register, bit } = featureBit(name)!;
    const entry = entries.find((e) => e.function === leaf && e.index === index);
    if (entry === undefined) return;
    entry[register] = (on ? entry[register] | 2 ** bit : entry[register] & ~(2 ** bit)) >>> 0;
  };

  set("hypervisor", true);
  // KVM leaves this bit to user space, since it stands for the in-kernel APIC (api.rst §4.46).
  set("tsc_deadline_timer", options.tscDeadline);
  if (options.template === "minimal") {
    for (const name of featureNames) if (!MINIMAL.has(name)) set(name, false);
  }
  for (const name of options.mask ?? []) {
    if (featureBit(name) === undefined) {
      const near = nearestWord(name, featureNames);
      throw new DocumentError(`VM document, cpu.mask: "${name}" is no CPU feature`, {
        hint: near === undefined ? "the names are those of /proc/cpuinfo" : `did you mean ${near}?`,
      });
    }
    set(name, false);
  }
  return entries;
}

/**
 * Puts a vCPU's own numbers into the leaves: its APIC id and the topology, one core a vCPU.
 *
 * @param entries What {@linkcode composeCpuid} gave
 * @param id The vCPU's APIC id
 * @param cpus How many vCPUs there are
 * @returns The leaves for KVM_SET_CPUID2
 */
export function cpuidFor(
  entries: readonly CpuidEntry[],
  id: number,
  cpus: number,
): CpuidEntry[] {
  const idBits = Math.ceil(Math.log2(cpus));
  const others = entries.filter((e) => e.function !== 0xb && e.function !== 0x1f).map((entry) => {
    const own = { ...entry };
    switch (entry.function) {
      case 0x1: // initial APIC id, logical processors, HTT
        own.ebx = ((entry.ebx & 0xffff) | (cpus << 16) | (id << 24)) >>> 0;
        own.edx = (cpus > 1 ? entry.edx | (1 << 28) : entry.edx & ~(1 << 28)) >>> 0;
        break;
      case 0x4: // cores in the package, threads that share the cache
        if ((entry.eax & 0x1f) !== 0) {
          own.eax = ((entry.eax & 0x3fff) | ((2 ** idBits - 1) << 26)) >>> 0;
        }
        break;
      case 0x8000_0008: // AMD: APIC id size and number of threads
        own.ecx = (idBits << 12) | (cpus - 1);
        break;
      case 0x8000_001e: // AMD: extended APIC id, one thread a core
        own.eax = id;
        own.ebx = id & 0xff;
        own.ecx = 0;
        break;
    }
    return own;
  });
  if (!entries.some((e) => e.function === 0xb)) return others;
  const level = (index: number, type: number, shift: number, count: number): CpuidEntry => ({
    function: 0xb,
    index,
    flags: SIGNIFICANT_INDEX,
    eax: shift,
    ebx: count,
    ecx: (type << 8) | index,
    edx: id,
  });
  return [
    ...others,
    level(0, LEVEL_SMT, 0, 1),
    level(1, LEVEL_CORE, idBits, cpus),
    level(2, 0, 0, 0),
  ];
}
