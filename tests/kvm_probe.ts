/**
 * What this host's KVM can do, found out by running a guest of a few bytes.
 *
 * @module
 */
import { HostError } from "../ffi/errors.ts";
import { closeFile } from "../ffi/files.ts";
import { Exit, exitName } from "../ffi/kvm/exit.ts";
import { Ioctl } from "../ffi/kvm/ioctl.ts";
import { Kvm } from "../ffi/kvm/kvm.ts";
import { kvm_regs, RunOffset } from "../ffi/kvm/structs.ts";
import { libc } from "../ffi/libc.ts";
import { createMemfd, Mapping } from "../ffi/mapping.ts";
import { Address } from "../vmm/board.ts";
import { listing } from "./guest_code.ts";

/** What a KVM can do. */
export interface KvmProbe {
  /** Why it cannot be used; undefined if it can. */
  readonly missing?: string;
  /**
   * Whether the CPU itself runs the guest's kernel code. A software KVM emulates ring 0, lacks many
   * instructions and is too slow for Linux.
   */
  readonly native: boolean;
}

const PAGE = 4096;

/** An instruction that each x86-64 CPU since 2008 has and no emulator of KVM's knows. */
const POPCNT = listing(`
  f3 0f b8 c0   popcnt ax, ax
  f4            hlt
`);

/** Asks this host's KVM. */
export function probeKvm(): KvmProbe {
  try {
    const reason = runToExit(POPCNT);
    if (reason === Exit.HLT) return { native: true };
    if (reason === Exit.INTERNAL_ERROR) return { native: false };
    return { missing: `a guest of one instruction ends with ${exitName(reason)}`, native: false };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return { missing: error.message, native: false };
  }
}

/** Runs real-mode code at address 0 to its first exit. */
function runToExit(code: Uint8Array): number {
  using kvm = new Kvm();
  using vm = kvm.createVm();
  vm.setRealModePages(Address.IDENTITY_MAP, Address.TSS);
  const fd = createMemfd("hvsh-probe", PAGE);
  try {
    using memory = new Mapping(fd, PAGE);
    new Uint8Array(memory.buffer).set(code);
    vm.setMemory(0, 0, PAGE, memory.address);
    using vcpu = vm.createVcpu(0);
    const sregs = vcpu.getSregs();
    sregs.cs.selector = 0;
    sregs.cs.base = 0n;
    vcpu.setSregs(sregs);
    const regs = new kvm_regs();
    regs.rflags = 2n;
    vcpu.setRegs(regs);
    libc.kvm_run(vcpu.fd, Ioctl.RUN, 0);
    return new DataView(vcpu.run.buffer).getUint32(RunOffset.exit_reason, true);
  } finally {
    closeFile(fd);
  }
}
