/**
 * What firmware would have set up in a vCPU before a kernel starts.
 *
 * @module
 */
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";

const IA32_MISC_ENABLE = 0x1a0;
const FAST_STRINGS = 1n;
const IA32_MTRR_DEF_TYPE = 0x2ff;
const MTRR_ENABLED_WRITE_BACK = (1n << 11n) | 6n;
const APIC_LVT_LINT0 = 0x350;
const APIC_LVT_LINT1 = 0x360;
const DELIVERY_MODE_MASK = 0x700;
const DELIVERY_NMI = 0x400;
const DELIVERY_EXTINT = 0x700;

/** MSRs that a kernel expects to find set (SDM vol. 4); those that KVM lacks are left alone. */
export const initialMsrs: readonly (readonly [index: number, data: bigint])[] = [
  [IA32_MISC_ENABLE, FAST_STRINGS],
  [IA32_MTRR_DEF_TYPE, MTRR_ENABLED_WRITE_BACK],
];

/**
 * Wires a local APIC as a PC's board does: LINT0 to the 8259s, LINT1 to NMI (MP specification 1.4,
 * appendix A).
 *
 * @param vcpu The vCPU, with an in-kernel APIC
 */
export function setLocalInterrupts(vcpu: Vcpu): void {
  const page = vcpu.getLapic();
  const view = new DataView(page.buffer);
  const deliver = (register: number, mode: number) =>
    view.setUint32(
      register,
      (view.getUint32(register, true) & ~DELIVERY_MODE_MASK) | mode,
      true,
    );
  deliver(APIC_LVT_LINT0, DELIVERY_EXTINT);
  deliver(APIC_LVT_LINT1, DELIVERY_NMI);
  vcpu.setLapic(page);
}
