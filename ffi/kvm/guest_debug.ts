/**
 * KVM_SET_GUEST_DEBUG: what of a guest's running comes back as KVM_EXIT_DEBUG (api.rst §4.87).
 *
 * @module
 */
import { array, struct, u32, u64 } from "../struct.ts";
import { callWith } from "./call.ts";

export const kvm_guest_debug = struct("kvm_guest_debug", {
  control: u32,
  pad: u32,
  debugreg: array(u64, 8),
});

/** Bits of `kvm_guest_debug.control`, without the `KVM_GUESTDBG_`. */
export const GuestDebug = {
  ENABLE: 1,
  SINGLESTEP: 2,
  USE_SW_BP: 1 << 16,
  USE_HW_BP: 1 << 17,
  INJECT_DB: 1 << 18,
  INJECT_BP: 1 << 19,
  BLOCKIRQ: 1 << 20,
} as const;

/**
 * Says what of a vCPU's running comes back. TF goes into RFLAGS here, for the instruction that RIP
 * is at now: it is asked for anew before each step. Blocks while the vCPU is in KVM_RUN.
 *
 * @param fd The vCPU's descriptor
 * @param control Bits of {@linkcode GuestDebug}
 * @param registers DR0 to DR7 for USE_HW_BP; the guest's own don't count meanwhile
 */
export function setGuestDebug(
  fd: number,
  control: number,
  registers: ArrayLike<bigint> = [],
): void {
  const debug = new kvm_guest_debug();
  debug.control = control;
  for (let i = 0; i < registers.length; i++) debug.debugreg.set(i, registers[i]!);
  callWith(fd, "SET_GUEST_DEBUG", debug.bytes());
}
