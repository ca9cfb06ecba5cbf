/**
 * KVM's exit reasons (linux/kvm.h), every one named so that a trace never prints a bare number.
 *
 * @module
 */

/** Exit reasons by name, without the `KVM_EXIT_`. */
export const Exit = {
  UNKNOWN: 0,
  EXCEPTION: 1,
  IO: 2,
  HYPERCALL: 3,
  DEBUG: 4,
  HLT: 5,
  MMIO: 6,
  IRQ_WINDOW_OPEN: 7,
  SHUTDOWN: 8,
  FAIL_ENTRY: 9,
  INTR: 10,
  SET_TPR: 11,
  TPR_ACCESS: 12,
  S390_SIEIC: 13,
  S390_RESET: 14,
  DCR: 15,
  NMI: 16,
  INTERNAL_ERROR: 17,
  OSI: 18,
  PAPR_HCALL: 19,
  S390_UCONTROL: 20,
  WATCHDOG: 21,
  S390_TSCH: 22,
  EPR: 23,
  SYSTEM_EVENT: 24,
  S390_STSI: 25,
  IOAPIC_EOI: 26,
  HYPERV: 27,
  ARM_NISV: 28,
  X86_RDMSR: 29,
  X86_WRMSR: 30,
  DIRTY_RING_FULL: 31,
  AP_RESET_HOLD: 32,
  X86_BUS_LOCK: 33,
  XEN: 34,
  RISCV_SBI: 35,
  RISCV_CSR: 36,
  NOTIFY: 37,
  LOONGARCH_IOCSR: 38,
  MEMORY_FAULT: 39,
  TDX: 40,
} as const;

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(Exit).map(([name, number]) => [number, `KVM_EXIT_${name}`]),
);

/**
 * The name of an exit reason.
 *
 * @param reason `kvm_run.exit_reason`
 * @returns `"KVM_EXIT_IO"`; `"KVM_EXIT_99"` for one this version does not know
 */
export function exitName(reason: number): string {
  return NAMES.get(reason) ?? `KVM_EXIT_${reason}`;
}

/** Suberrors of KVM_EXIT_INTERNAL_ERROR. */
const INTERNAL_ERRORS = [
  "",
  "KVM_INTERNAL_ERROR_EMULATION",
  "KVM_INTERNAL_ERROR_SIMUL_EX",
  "KVM_INTERNAL_ERROR_DELIVERY_EV",
  "KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON",
];

/** KVM could not emulate an instruction. */
export const INTERNAL_ERROR_EMULATION = 1;

/**
 * The name of an internal error.
 *
 * @param suberror `kvm_run.internal.suberror`
 * @returns `"KVM_INTERNAL_ERROR_EMULATION"`
 */
export function internalErrorName(suberror: number): string {
  return INTERNAL_ERRORS[suberror] || `KVM_INTERNAL_ERROR_${suberror}`;
}
