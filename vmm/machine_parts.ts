/**
 * Puts a machine together: memory with what boots in it, the VM and its vCPUs, devices over their
 * arena.
 *
 * @module
 */
import { VmError } from "../ffi/errors.ts";
import { Capability } from "../ffi/kvm/ioctl.ts";
import { Kvm } from "../ffi/kvm/kvm.ts";
import type { Vcpu } from "../ffi/kvm/vcpu.ts";
import type { Vm } from "../ffi/kvm/vm.ts";
import { Arena } from "./arena.ts";
import { Address } from "./board.ts";
import { prepareBoot, wantsIrqchip } from "./boot/prepare.ts";
import { composeCpuid, cpuidFor } from "./cpu/cpuid.ts";
import { initialMsrs, setLocalInterrupts } from "./cpu/initial_state.ts";
import { setStartState } from "./cpu/registers.ts";
import { VcpuThread } from "./cpu/thread.ts";
import { DeviceSet, type DeviceSetPlan } from "./device_set.ts";
import { loadDeviceType } from "./devices/registry.ts";
import type { VmDocument } from "./document.ts";
import { MachineMemory } from "./memory.ts";

/** What a machine consists of. */
export interface MachineParts {
  readonly document: VmDocument;
  readonly kvm: Kvm;
  readonly vm: Vm;
  readonly memory: MachineMemory;
  readonly vcpus: readonly Vcpu[];
  readonly threads: readonly VcpuThread[];
  readonly arena: Arena;
  readonly plan: DeviceSetPlan;
  readonly devices: DeviceSet;
}

/**
 * Makes the parts of a machine, ready to start.
 *
 * @param document What it is
 * @returns The parts; their owner frees them
 * @throws {DocumentError} If the document contradicts itself
 * @throws {ImageError} If an image is not what it says it is
 * @throws {HostError} If the host can't provide it
 */
export async function assembleMachine(document: VmDocument): Promise<MachineParts> {
  const cpus = document.cpus ?? 1;
  const irqchip = wantsIrqchip(document);
  using stack = new DisposableStack();
  const kvm = stack.use(new Kvm());
  // A machine with interrupt controllers lives for a while: its threads start while images are read.
  const threads = irqchip ? Array.from({ length: cpus }, () => VcpuThread.acquire()) : [];
  stack.defer(() => threads.forEach((thread) => thread.release()));
  const memory = stack.use(new MachineMemory(document.memory ?? []));
  const { start, devices } = await prepareBoot(document, memory);

  const vm = stack.use(kvm.createVm());
  vm.setRealModePages(Address.IDENTITY_MAP, Address.TSS);
  memory.register(vm);
  if (irqchip) {
    vm.createIrqchip();
    vm.createPit();
  } else if (cpus > 1) {
    throw new VmError(`${cpus} vCPUs need interrupt controllers, but "irqchip" is false`);
  }

  const types = await Promise.all(
    devices.map(({ type, module }) => loadDeviceType(type, module)),
  );
  const { arena, slices } = Arena.plan(cpus, types.map(({ state }) => state.size));
  const plan = { devices, slices, slots: memory.slots, vmFd: vm.fd, irqchip };
  const set = new DeviceSet(arena, plan, types);
  stack.defer(() => set.close());
  for (const open of set.devices) set.locked(open, (device) => device.reset());

  const cpuid = composeCpuid(kvm.supportedCpuid(), {
    ...document.cpu,
    cpus,
    tscDeadline: irqchip && kvm.capability(Capability.TSC_DEADLINE_TIMER) > 0,
  });
  const vcpus = Array.from({ length: cpus }, (_, id) => {
    const vcpu = stack.use(vm.createVcpu(id));
    vcpu.setCpuid(cpuidFor(cpuid, id, cpus));
    vcpu.setMsrs(initialMsrs);
    if (irqchip) setLocalInterrupts(vcpu);
    return vcpu;
  });
  setStartState(vcpus[0]!, start);

  stack.move();
  return { document, kvm, vm, memory, vcpus, threads, arena, plan, devices: set };
}
