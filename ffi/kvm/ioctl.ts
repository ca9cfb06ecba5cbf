/**
 * KVM's ioctl numbers (linux/kvm.h), x86-64. A number is direction, size of the argument, type 0xAE
 * and a serial number, as asm-generic/ioctl.h composes them.
 *
 * @module
 */
const KVMIO = 0xae;
const io = (nr: number) => (KVMIO << 8) | nr;
const iow = (nr: number, size: number) => ((1 << 30) | (size << 16) | (KVMIO << 8) | nr) >>> 0;
const ior = (nr: number, size: number) => ((2 << 30) | (size << 16) | (KVMIO << 8) | nr) >>> 0;
const iowr = (nr: number, size: number) => ((3 << 30) | (size << 16) | (KVMIO << 8) | nr) >>> 0;

/** ioctl requests by name, without the `KVM_`. */
export const Ioctl = {
  // of /dev/kvm (api.rst §4.1 and on)
  GET_API_VERSION: io(0x00),
  CREATE_VM: io(0x01),
  GET_MSR_INDEX_LIST: iowr(0x02, 4),
  CHECK_EXTENSION: io(0x03),
  GET_VCPU_MMAP_SIZE: io(0x04),
  GET_SUPPORTED_CPUID: iowr(0x05, 8),
  // of a VM
  CREATE_VCPU: io(0x41),
  GET_DIRTY_LOG: iow(0x42, 16),
  SET_USER_MEMORY_REGION: iow(0x46, 32),
  SET_TSS_ADDR: io(0x47),
  SET_IDENTITY_MAP_ADDR: iow(0x48, 8),
  CREATE_IRQCHIP: io(0x60),
  IRQ_LINE: iow(0x61, 8),
  GET_IRQCHIP: iowr(0x62, 520),
  SET_IRQCHIP: ior(0x63, 520),
  IRQFD: iow(0x76, 32),
  CREATE_PIT2: iow(0x77, 64),
  IOEVENTFD: iow(0x79, 64),
  SET_CLOCK: iow(0x7b, 48),
  GET_CLOCK: ior(0x7c, 48),
  GET_PIT2: ior(0x9f, 112),
  SET_PIT2: iow(0xa0, 112),
  SIGNAL_MSI: iow(0xa5, 32),
  ENABLE_CAP: iow(0xa3, 104),
  GET_STATS_FD: io(0xce), // of a vCPU too
  // of a vCPU
  RUN: io(0x80),
  GET_REGS: ior(0x81, 144),
  SET_REGS: iow(0x82, 144),
  GET_SREGS: ior(0x83, 312),
  SET_SREGS: iow(0x84, 312),
  INTERRUPT: iow(0x86, 4),
  GET_MSRS: iowr(0x88, 8),
  SET_MSRS: iow(0x89, 8),
  GET_LAPIC: ior(0x8e, 1024),
  SET_LAPIC: iow(0x8f, 1024),
  SET_CPUID2: iow(0x90, 8),
  GET_CPUID2: iowr(0x91, 8),
  GET_MP_STATE: ior(0x98, 4),
  SET_MP_STATE: iow(0x99, 4),
  NMI: io(0x9a),
  SET_TSC_KHZ: io(0xa2),
  GET_TSC_KHZ: io(0xa3),
  KVMCLOCK_CTRL: io(0xad),
  SET_GUEST_DEBUG: iow(0x9b, 72),
  X86_SET_MCE: iow(0x9e, 64),
  GET_VCPU_EVENTS: ior(0x9f, 64),
  SET_VCPU_EVENTS: iow(0xa0, 64),
  GET_DEBUGREGS: ior(0xa1, 128),
  SET_DEBUGREGS: iow(0xa2, 128),
  GET_XSAVE: ior(0xa4, 4096),
  SET_XSAVE: iow(0xa5, 4096),
  GET_XCRS: ior(0xa6, 392),
  SET_XCRS: iow(0xa7, 392),
  GET_NESTED_STATE: iowr(0xbe, 128),
  SET_NESTED_STATE: iow(0xbf, 128),
  GET_XSAVE2: ior(0xcf, 4096),
} as const;

/** Capabilities that KVM_CHECK_EXTENSION is asked for, without the `KVM_CAP_`. */
export const Capability = {
  IRQCHIP: 0,
  USER_MEMORY: 3,
  SET_TSS_ADDR: 4,
  EXT_CPUID: 7,
  NR_VCPUS: 9,
  NR_MEMSLOTS: 10,
  MP_STATE: 14,
  IRQFD: 32,
  PIT2: 33,
  IOEVENTFD: 36,
  ADJUST_CLOCK: 39,
  SET_IDENTITY_MAP_ADDR: 37,
  VCPU_EVENTS: 41,
  XSAVE: 55,
  TSC_CONTROL: 60,
  GET_TSC_KHZ: 61,
  MAX_VCPUS: 66,
  TSC_DEADLINE_TIMER: 72,
  SIGNAL_MSI: 77,
  READONLY_MEM: 81,
  IMMEDIATE_EXIT: 136,
  NESTED_STATE: 157,
  SET_GUEST_DEBUG2: 195,
  XSAVE2: 208,
} as const;
