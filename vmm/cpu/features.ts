/**
 * CPU features by the names that /proc/cpuinfo gives them (SDM vol. 2, CPUID; APM vol. 3, app. E).
 *
 * @module
 */
import type { CpuidEntry } from "../../ffi/kvm/cpuid.ts";

/** A register of CPUID. */
export type CpuidRegister = "eax" | "ebx" | "ecx" | "edx";

/** Where a feature's bit lies. */
export interface FeatureBit {
  readonly leaf: number;
  readonly index: number;
  readonly register: CpuidRegister;
  readonly bit: number;
}

/** Names from bit 0 up; `-` is a bit with no name here. */
const WORDS: readonly {
  readonly leaf: number;
  readonly index: number;
  readonly register: CpuidRegister;
  readonly names: string;
}[] = [
  {
    leaf: 0x1,
    index: 0,
    register: "ecx",
    names:
      "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave osxsave avx f16c rdrand hypervisor",
  },
  {
    leaf: 0x1,
    index: 0,
    register: "edx",
    names:
      "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe",
  },
  {
    leaf: 0x7,
    index: 0,
    register: "ebx",
    names:
      "fsgsbase tsc_adjust sgx bmi1 hle avx2 fdp_excptn_only smep bmi2 erms invpcid rtm cqm zero_fcs_fds mpx rdt_a avx512f avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl",
  },
  {
    leaf: 0x7,
    index: 0,
    register: "ecx",
    names:
      "prefetchwt1 avx512vbmi umip pku ospke waitpkg avx512_vbmi2 shstk gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme avx512_vpopcntdq - la57 - - - - - rdpid - bus_lock_detect cldemote - movdiri movdir64b enqcmd sgx_lc pks",
  },
  {
    leaf: 0x7,
    index: 0,
    register: "edx",
    names:
      "- - avx512_4vnniw avx512_4fmaps fsrm uintr - - avx512_vp2intersect srbds_ctrl md_clear rtm_always_abort - tsx_force_abort serialize hybrid_cpu tsxldtrk - pconfig arch_lbr ibt - amx_bf16 avx512_fp16 amx_tile amx_int8 spec_ctrl intel_stibp flush_l1d arch_capabilities core_capabilities ssbd",
  },
  {
    leaf: 0x7,
    index: 1,
    register: "eax",
    names:
      "- - - - avx_vnni avx512_bf16 - cmpccxadd - - fzrm fsrs fsrc - - - - fred lkgs - - amx_fp16 - avx_ifma - - lam - - - - -",
  },
  {
    leaf: 0xd,
    index: 1,
    register: "eax",
    names: "xsaveopt xsavec xgetbv1 xsaves xfd",
  },
  {
    leaf: 0x80000001,
    index: 0,
    register: "ecx",
    names:
      "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc perfctr_llc mwaitx - -",
  },
  {
    leaf: 0x80000001,
    index: 0,
    register: "edx",
    names:
      "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow",
  },
  {
    leaf: 0x80000007,
    index: 0,
    register: "edx",
    names: "- - - - - - - - constant_tsc",
  },
  {
    leaf: 0x80000008,
    index: 0,
    register: "ebx",
    names:
      "clzero irperf xsaveerptr - rdpru - - - - wbnoinvd - - amd_ibpb - amd_ibrs amd_stibp - amd_stibp_always_on - - - - - amd_ppin amd_ssbd virt_ssbd",
  },
];

const FEATURES: ReadonlyMap<string, FeatureBit> = new Map(
  WORDS.flatMap(({ leaf, index, register, names }) =>
    names.split(" ").flatMap((name, bit): [string, FeatureBit][] =>
      name === "-" ? [] : [[name, { leaf, index, register, bit }]]
    )
  ),
);

/** Every feature's name, for completion and for "did you mean". */
export const featureNames: readonly string[] = [...FEATURES.keys()];

/**
 * Finds a feature's bit.
 *
 * @param name Its name in /proc/cpuinfo
 * @returns Where it lies; undefined if there is no such name
 */
export function featureBit(name: string): FeatureBit | undefined {
  return FEATURES.get(name);
}

/**
 * Names the features that CPUID shows.
 *
 * @param entries CPUID's leaves
 * @returns Names in the order of {@linkcode featureNames}
 */
export function featuresOf(entries: readonly CpuidEntry[]): string[] {
  return featureNames.filter((name) => {
    const { leaf, index, register, bit } = FEATURES.get(name)!;
    const entry = entries.find((e) => e.function === leaf && e.index === index);
    return entry !== undefined && (entry[register] >>> bit & 1) === 1;
  });
}
