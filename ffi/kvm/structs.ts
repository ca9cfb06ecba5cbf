/**
 * Structs of KVM's ABI (linux/kvm.h and asm/kvm.h of x86), with the kernel's own field names.
 *
 * @module
 */
import { addr64, array, bytes, i32, type Struct, struct, u16, u32, u64, u8 } from "../struct.ts";

export const kvm_userspace_memory_region = struct("kvm_userspace_memory_region", {
  slot: u32,
  flags: u32,
  guest_phys_addr: addr64,
  memory_size: addr64,
  userspace_addr: u64,
});

export const kvm_regs = struct("kvm_regs", {
  rax: u64,
  rbx: u64,
  rcx: u64,
  rdx: u64,
  rsi: u64,
  rdi: u64,
  rsp: u64,
  rbp: u64,
  r8: u64,
  r9: u64,
  r10: u64,
  r11: u64,
  r12: u64,
  r13: u64,
  r14: u64,
  r15: u64,
  rip: u64,
  rflags: u64,
});

export const kvm_segment = struct("kvm_segment", {
  base: u64,
  limit: u32,
  selector: u16,
  type: u8,
  present: u8,
  dpl: u8,
  db: u8,
  s: u8,
  l: u8,
  g: u8,
  avl: u8,
  unusable: u8,
  padding: u8,
});

export const kvm_dtable = struct("kvm_dtable", { base: u64, limit: u16, padding: array(u16, 3) });

export const kvm_sregs = struct("kvm_sregs", {
  cs: kvm_segment,
  ds: kvm_segment,
  es: kvm_segment,
  fs: kvm_segment,
  gs: kvm_segment,
  ss: kvm_segment,
  tr: kvm_segment,
  ldt: kvm_segment,
  gdt: kvm_dtable,
  idt: kvm_dtable,
  cr0: u64,
  cr2: u64,
  cr3: u64,
  cr4: u64,
  cr8: u64,
  efer: u64,
  apic_base: u64,
  interrupt_bitmap: array(u64, 4),
});

export const kvm_cpuid_entry2 = struct("kvm_cpuid_entry2", {
  function: u32,
  index: u32,
  flags: u32,
  eax: u32,
  ebx: u32,
  ecx: u32,
  edx: u32,
  padding: array(u32, 3),
});

export const kvm_msr_entry = struct("kvm_msr_entry", { index: u32, reserved: u32, data: u64 });

export const kvm_mp_state = struct("kvm_mp_state", { mp_state: u32 });

export const kvm_irq_level = struct("kvm_irq_level", { irq: u32, level: u32 });

export const kvm_pit_config = struct("kvm_pit_config", { flags: u32, pad: array(u32, 15) });

export const kvm_irqfd = struct("kvm_irqfd", {
  fd: u32,
  gsi: u32,
  flags: u32,
  resamplefd: u32,
  pad: bytes(16),
});

export const kvm_ioeventfd = struct("kvm_ioeventfd", {
  datamatch: u64,
  addr: addr64,
  len: u32,
  fd: i32,
  flags: u32,
  pad: bytes(36),
});

export const kvm_msi = struct("kvm_msi", {
  address_lo: u32,
  address_hi: u32,
  data: u32,
  flags: u32,
  devid: u32,
  pad: bytes(12),
});

export const kvm_x86_mce = struct("kvm_x86_mce", {
  status: u64,
  addr: u64,
  misc: u64,
  mcg_status: u64,
  bank: u8,
  pad1: bytes(7),
  pad2: array(u64, 3),
});

export const kvm_interrupt = struct("kvm_interrupt", { irq: u32 });

export const kvm_vcpu_events = struct("kvm_vcpu_events", {
  exception_injected: u8,
  exception_nr: u8,
  exception_has_error_code: u8,
  exception_pending: u8,
  exception_error_code: u32,
  interrupt_injected: u8,
  interrupt_nr: u8,
  interrupt_soft: u8,
  interrupt_shadow: u8,
  nmi_injected: u8,
  nmi_pending: u8,
  nmi_masked: u8,
  nmi_pad: u8,
  sipi_vector: u32,
  flags: u32,
  smi_smm: u8,
  smi_pending: u8,
  smi_smm_inside_nmi: u8,
  smi_latched_init: u8,
  triple_fault_pending: u8,
  reserved: bytes(26),
  exception_has_payload: u8,
  exception_payload: u64,
});

export const kvm_debugregs = struct("kvm_debugregs", {
  db: array(u64, 4),
  dr6: u64,
  dr7: u64,
  flags: u64,
  reserved: array(u64, 9),
});

export const kvm_xcr = struct("kvm_xcr", { xcr: u32, reserved: u32, value: u64 });

export const kvm_xcrs = struct("kvm_xcrs", {
  nr_xcrs: u32,
  flags: u32,
  xcrs: array(kvm_xcr, 16),
  padding: array(u64, 16),
});

/** An i8259, `pic` of `struct kvm_irqchip`. */
export const kvm_pic_state = struct("kvm_pic_state", {
  last_irr: u8,
  irr: u8,
  imr: u8,
  isr: u8,
  priority_add: u8,
  irq_base: u8,
  read_reg_select: u8,
  poll: u8,
  special_mask: u8,
  init_state: u8,
  auto_eoi: u8,
  rotate_on_auto_eoi: u8,
  special_fully_nested_mode: u8,
  init4: u8,
  elcr: u8,
  elcr_mask: u8,
});

/** The I/O APIC, `ioapic` of `struct kvm_irqchip`. */
export const kvm_ioapic_state = struct("kvm_ioapic_state", {
  base_address: u64,
  ioregsel: u32,
  id: u32,
  irr: u32,
  pad: u32,
  redirtbl: array(u64, 24),
});

export const kvm_pit_channel_state = struct("kvm_pit_channel_state", {
  count: u32,
  latched_count: u16,
  count_latched: u8,
  status_latched: u8,
  status: u8,
  read_state: u8,
  write_state: u8,
  write_latch: u8,
  rw_mode: u8,
  mode: u8,
  bcd: u8,
  gate: u8,
  count_load_time: u64,
});

export const kvm_pit_state2 = struct("kvm_pit_state2", {
  channels: array(kvm_pit_channel_state, 3),
  flags: u32,
  reserved: array(u32, 9),
});

export const kvm_clock_data = struct("kvm_clock_data", {
  clock: u64,
  flags: u32,
  pad0: u32,
  realtime: u64,
  host_tsc: u64,
  pad: array(u32, 4),
});

export const kvm_dirty_log = struct("kvm_dirty_log", {
  slot: u32,
  padding1: u32,
  dirty_bitmap: u64,
});

/** The start of `struct kvm_run`; what the exits say is at the offsets of {@linkcode RunOffset}. */
export const kvm_run = struct("kvm_run", {
  request_interrupt_window: u8,
  immediate_exit: u8,
  padding1: bytes(6),
  exit_reason: u32,
  ready_for_interrupt_injection: u8,
  if_flag: u8,
  flags: u16,
  cr8: u64,
  apic_base: u64,
});

/**
 * Byte offsets into `struct kvm_run` for the vCPU loop, which reads them with plain typed arrays.
 * `tests/c_layout_test.ts` checks each against the C headers.
 */
export const RunOffset = {
  immediate_exit: 1,
  exit_reason: 8,
  if_flag: 13,
  "io.direction": 32,
  "io.size": 33,
  "io.port": 34,
  "io.count": 36,
  "io.data_offset": 40,
  "mmio.phys_addr": 32,
  "mmio.data": 40,
  "mmio.len": 48,
  "mmio.is_write": 52,
  "hw.hardware_exit_reason": 32,
  "fail_entry.hardware_entry_failure_reason": 32,
  "ex.exception": 32,
  "ex.error_code": 36,
  "debug.arch.exception": 32,
  "debug.arch.pc": 40,
  "debug.arch.dr6": 48,
  "debug.arch.dr7": 56,
  "internal.suberror": 32,
  "internal.ndata": 36,
  "internal.data": 40,
  "emulation_failure.flags": 40,
  "emulation_failure.insn_size": 48,
  "emulation_failure.insn_bytes": 49,
  "msr.error": 32,
  "msr.reason": 40,
  "msr.index": 44,
  "msr.data": 48,
  "system_event.type": 32,
  "system_event.ndata": 36,
  "system_event.data": 40,
} as const;

export type KvmRegs = Struct<typeof kvm_regs>;
export type KvmSregs = Struct<typeof kvm_sregs>;
export type KvmSegment = Struct<typeof kvm_segment>;
