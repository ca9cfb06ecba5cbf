/**
 * Makes a machine's vCPUs as they are at power-on.
 *
 * @module
 */
import type { CpuidEntry } from "../../ffi/kvm/cpuid.ts";
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";
import type { Vm } from "../../ffi/kvm/vm.ts";
import { Address } from "../board.ts";
import { cpuidFor } from "./cpuid.ts";
import { initialMsrs, setLocalInterrupts } from "./initial_state.ts";

/** What is to be known of a machine's vCPUs. */
export interface VcpuTraits {
  /** How many. */
  readonly cpus: number;
  /** Whether they have in-kernel local APICs. */
  readonly irqchip: boolean;
  /** What `composeCpuid` gave. */
  readonly cpuid: readonly CpuidEntry[];
}

/**
 * Gives a VM its memory and what KVM emulates of the board; before its first vCPU.
 *
 * @param vm The VM
 * @param irqchip Whether it has interrupt controllers and a timer
 * @param memory Its memory, if it is to have some
 * @throws {HostError} If KVM can't have so much memory there
 */
export function createBoard(
  vm: Vm,
  irqchip: boolean,
  memory?: { register(vm: Vm): void },
): void {
  vm.setRealModePages(Address.IDENTITY_MAP, Address.TSS);
  // KVM waits for an SRCU grace period for each slot and each device on its buses. A VM's first is there
  // at once, later ones take a timer tick: slots behind the controllers would cost 4 ms more.
  memory?.register(vm);
  if (!irqchip) return;
  vm.createIrqchip();
  vm.createPit();
}

/**
 * Makes the vCPUs.
 *
 * @param vm The VM
 * @param traits What they are
 * @param stack Frees them
 * @returns In order of their numbers, at the reset vector
 */
export function createVcpus(
  vm: Vm,
  { cpus, irqchip, cpuid }: VcpuTraits,
  stack: { use<T extends Disposable>(value: T): T },
): Vcpu[] {
  return Array.from({ length: cpus }, (_, id) => {
    const vcpu = stack.use(vm.createVcpu(id));
    vcpu.setCpuid(cpuidFor(cpuid, id, cpus));
    vcpu.setMsrs(initialMsrs);
    if (irqchip) setLocalInterrupts(vcpu);
    return vcpu;
  });
}
