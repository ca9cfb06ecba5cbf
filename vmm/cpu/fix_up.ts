/**
 * Instructions that a software KVM's emulator gives up on and that user space can carry out itself.
 * Hardware KVM never gets here: VT-x and SVM run them without an exit.
 *
 * @module
 */
import { RunOffset } from "../../ffi/kvm/structs.ts";
import { libc } from "../../ffi/libc.ts";
import { Ioctl } from "../../ffi/kvm/ioctl.ts";
import { kvm_regs, kvm_vcpu_events } from "../../ffi/kvm/structs.ts";

/** Carries an instruction out; the registers are written back if it returns true. */
type FixUp = (registers: InstanceType<typeof kvm_regs>, fd: number) => boolean;

const BREAKPOINT_VECTOR = 3;

/** By opcode. A new entry needs a guest that met it. */
const FIX_UPS: ReadonlyMap<number, FixUp> = new Map<number, FixUp>([
  // INT3: #BP with RIP behind the instruction (SDM vol. 3, 6.15, interrupt 3 is a trap).
  [0xcc, (registers, fd) => {
    registers.rip += 1n;
    const events = new kvm_vcpu_events();
    if (libc.ioctl_pointer(fd, Ioctl.GET_VCPU_EVENTS, events.bytes()) < 0) return false;
    events.exception_injected = 1;
    events.exception_nr = BREAKPOINT_VECTOR;
    events.exception_has_error_code = 0;
    return libc.ioctl_pointer(fd, Ioctl.SET_VCPU_EVENTS, events.bytes()) === 0;
  }],
  // FWAIT with no x87 exception pending does nothing.
  [0x9b, (registers) => {
    registers.rip += 1n;
    return true;
  }],
]);

/**
 * Carries out the instruction that KVM could not emulate.
 *
 * @param fd The vCPU's descriptor
 * @param run Its `struct kvm_run`, with an emulation failure
 * @returns Whether the guest may go on
 */
export function fixUp(fd: number, run: ArrayBuffer): boolean {
  const bytes = new Uint8Array(run);
  if (bytes[RunOffset["emulation_failure.insn_size"]] === 0) return false;
  const handler = FIX_UPS.get(bytes[RunOffset["emulation_failure.insn_bytes"]]!);
  if (handler === undefined) return false;
  const registers = new kvm_regs();
  if (libc.ioctl_pointer(fd, Ioctl.GET_REGS, registers.bytes()) < 0) return false;
  if (!handler(registers, fd)) return false;
  return libc.ioctl_pointer(fd, Ioctl.SET_REGS, registers.bytes()) === 0;
}
