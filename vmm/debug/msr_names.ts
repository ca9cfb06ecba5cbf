/**
 * Names of model-specific registers (SDM vol. 4, APM vol. 2 appendix A, Linux's asm/msr-index.h and
 * asm/kvm_para.h), in lower case.
 *
 * @module
 */
const NAMES: Readonly<Record<number, string>> = {
  0x10: "tsc",
  0x1b: "apic_base_msr",
  0x3a: "feature_control",
  0x3b: "tsc_adjust",
  0x48: "spec_ctrl",
  0x49: "pred_cmd",
  0x8b: "ucode_rev",
  0xce: "platform_info",
  0xe1: "umwait_control",
  0xfe: "mtrrcap",
  0x10a: "arch_capabilities",
  0x10b: "flush_cmd",
  0x122: "tsx_ctrl",
  0x140: "misc_features_enables",
  0x174: "sysenter_cs",
  0x175: "sysenter_esp",
  0x176: "sysenter_eip",
  0x179: "mcg_cap",
  0x17a: "mcg_status",
  0x17b: "mcg_ctl",
  0x1a0: "misc_enable",
  0x1c4: "xfd",
  0x1c5: "xfd_err",
  0x1d9: "debugctl",
  0x277: "pat",
  0x2ff: "mtrr_def_type",
  0x345: "perf_capabilities",
  0x38d: "fixed_ctr_ctrl",
  0x38e: "perf_global_status",
  0x38f: "perf_global_ctrl",
  0x390: "perf_global_ovf_ctrl",
  0x3f1: "pebs_enable",
  0x4d0: "mcg_ext_ctl",
  0x600: "ds_area",
  0x6e0: "tsc_deadline",
  0xda0: "xss",
  0x11: "kvm_wall_clock",
  0x12: "kvm_system_time",
  0x4b564d00: "kvm_wall_clock_new",
  0x4b564d01: "kvm_system_time_new",
  0x4b564d02: "kvm_async_pf_en",
  0x4b564d03: "kvm_steal_time",
  0x4b564d04: "kvm_pv_eoi_en",
  0x4b564d05: "kvm_poll_control",
  0x4b564d06: "kvm_async_pf_int",
  0x4b564d07: "kvm_async_pf_ack",
  0x4b564d08: "kvm_migration_control",
  0x40000000: "hv_guest_os_id",
  0x40000001: "hv_hypercall",
  0x40000020: "hv_time_ref_count",
  0x40000021: "hv_reference_tsc",
  0x40000073: "hv_vp_assist_page",
  0xc0000080: "efer_msr",
  0xc0000081: "star",
  0xc0000082: "lstar",
  0xc0000083: "cstar",
  0xc0000084: "syscall_mask",
  0xc0000100: "fs_base",
  0xc0000101: "gs_base",
  0xc0000102: "kernel_gs_base",
  0xc0000103: "tsc_aux",
  0xc0000104: "amd64_tsc_ratio",
  0xc0000300: "perf_global_status_amd",
  0xc0000301: "perf_global_ctl_amd",
  0xc0000302: "perf_global_status_clr_amd",
  0xc0010015: "k7_hwcr",
  0xc0010117: "vm_hsave_pa",
  0xc001011f: "virt_spec_ctrl",
  0xc0011029: "f10h_decfg",
};

const INDICES: ReadonlyMap<string, number> = new Map(
  Object.entries(NAMES).map(([index, name]) => [name, Number(index)]),
);

/**
 * The name of an MSR.
 *
 * @param index Its number
 * @returns `lstar`, or `msr_0xc0010112` for one without a name here
 */
export function msrName(index: number): string {
  return NAMES[index] ?? `msr_0x${index.toString(16)}`;
}

/**
 * The number of an MSR.
 *
 * @param name What {@linkcode msrName} gives; `msr_0x…` of any
 * @returns The number; undefined if it is no MSR's name
 */
export function msrIndex(name: string): number | undefined {
  const match = /^msr_0x([0-9a-f]{1,8})$/.exec(name);
  return match === null ? INDICES.get(name) : parseInt(match[1]!, 16);
}
