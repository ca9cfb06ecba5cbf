/**
 * What can be done to a vCPU from outside: interrupts, exceptions, NMIs, machine checks.
 *
 * @module
 */
import { UsageError, VmError } from "../ffi/errors.ts";
import { kvm_x86_mce, RunOffset } from "../ffi/kvm/structs.ts";
import type { Vcpu } from "../ffi/kvm/vcpu.ts";
import { Vm } from "../ffi/kvm/vm.ts";
import type { Machine } from "./machine.ts";

/** Vectors below this are the architecture's exceptions (SDM vol. 3, 6.3.1). */
const FIRST_INTERRUPT = 32;
const MOST_VECTOR = 255;
const NMI_VECTOR = 2;
/** Exceptions that push an error code (SDM vol. 3, table 6-1). */
const WITH_ERROR_CODE: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17, 21, 29, 30]);

/** A message to one local APIC: fixed delivery, edge (SDM vol. 3, 10.11). */
const MSI_ADDRESS = 0xfee0_0000;
const MSI_DESTINATION_SHIFT = 12;

/** IA32_MC0_CTL, four MSRs a bank, and MCi_STATUS's UC (SDM vol. 3, 15.3.2). */
const IA32_MC0_CTL = 0x400;
const BANK_MSRS = 4;
const UNCORRECTED = 1n << 61n;

/** MCi_STATUS of a fatal error, and MCG_STATUS while it is handled (SDM vol. 3, 15.3). */
export const MACHINE_CHECK = {
  bank: 4,
  /** VAL, UC, EN, MISCV, ADDRV, PCC. */
  status: 0xbe00_0000_0000_0000n,
  /** RIPV, MCIP. */
  mcgStatus: 5n,
  address: 0n,
  misc: 0n,
} as const;

/** A machine check's bank and registers. */
export interface MachineCheck {
  readonly bank: number;
  readonly status: bigint;
  readonly mcgStatus: bigint;
  readonly address: bigint;
  readonly misc: bigint;
}

/**
 * Queues a non-maskable interrupt.
 *
 * @param machine The VM
 * @param cpu Which vCPU
 */
export async function injectNmi(machine: Machine, cpu: number): Promise<void> {
  await onVcpu(machine, cpu, (vcpu) => vcpu.nmi());
}

/**
 * Raises a machine check, or notes a corrected error, as its status says.
 *
 * @param machine The VM
 * @param cpu Which vCPU
 * @param check The bank and its registers
 * @throws {HostError} If there is no such bank, or bit 63 of the status is not set
 * @throws {VmError} If the guest has not enabled the bank's uncorrected errors
 */
export async function injectMachineCheck(
  machine: Machine,
  cpu: number,
  check: MachineCheck,
): Promise<void> {
  const mce = new kvm_x86_mce();
  mce.bank = check.bank;
  mce.status = check.status;
  mce.mcg_status = check.mcgStatus;
  mce.addr = check.address;
  mce.misc = check.misc;
  await onVcpu(machine, cpu, (vcpu) => {
    // KVM drops what the guest does not want to hear of, and says nothing.
    const control = IA32_MC0_CTL + BANK_MSRS * check.bank;
    if ((check.status & UNCORRECTED) !== 0n && vcpu.getMsrs([control]).get(control) === 0n) {
      throw new VmError(`The guest has not enabled bank ${check.bank} of machine checks`, {
        hint: "a Linux kernel does that with CONFIG_X86_MCE",
      });
    }
    vcpu.machineCheck(mce);
  });
}

/**
 * Interrupts a vCPU at a vector; below 32 that is an exception, which is as if its next instruction
 * had raised it.
 *
 * @param machine The VM
 * @param cpu Which vCPU
 * @param vector 0 to 255
 * @param errorCode What such an exception pushes. Default 0
 * @throws {VmError} If another one waits already
 */
export async function injectVector(
  machine: Machine,
  cpu: number,
  vector: number,
  errorCode = 0,
): Promise<void> {
  if (!Number.isInteger(vector) || vector < 0 || vector > MOST_VECTOR) {
    throw new UsageError(`There is no vector ${vector}: it is 0 to ${MOST_VECTOR}`);
  }
  if (vector === NMI_VECTOR) return await injectNmi(machine, cpu);
  await onVcpu(machine, cpu, (vcpu, vmFd) => {
    if (vector < FIRST_INTERRUPT) raise(vcpu, vector, errorCode);
    else if (!machine.interruptible) {
      // KVM would not look whether the guest takes it.
      if (new Uint8Array(vcpu.run.buffer)[RunOffset.if_flag] === 0) {
        throw new VmError(`CPU ${cpu} has interrupts disabled`);
      }
      vcpu.interrupt(vector);
    } else {
      // Descriptors of a VM are its process's: one more object over it owns nothing.
      const address = MSI_ADDRESS + (vcpu.id << MSI_DESTINATION_SHIFT);
      if (!new Vm(vmFd, 0).signalMsi(address, 0, vector)) {
        throw new VmError(`The local APIC of CPU ${cpu} is not enabled`);
      }
    }
  });
}

function raise(vcpu: Vcpu, vector: number, errorCode: number): void {
  const events = vcpu.getEvents();
  if (events.exception_injected !== 0 || events.exception_pending !== 0) {
    throw new VmError(`CPU ${vcpu.id} is about to take exception ${events.exception_nr}`);
  }
  events.exception_injected = 1;
  events.exception_nr = vector;
  events.exception_has_error_code = WITH_ERROR_CODE.has(vector) ? 1 : 0;
  events.exception_error_code = errorCode;
  vcpu.setEvents(events);
}

async function onVcpu(
  machine: Machine,
  cpu: number,
  work: (vcpu: Vcpu, vmFd: number) => void,
): Promise<void> {
  await machine.inspect(({ vcpus, vmFd }) => {
    const vcpu = vcpus[cpu];
    if (vcpu === undefined) {
      throw new UsageError(`There is no CPU ${cpu}: there are ${vcpus.length}, from 0 on`);
    }
    work(vcpu, vmFd);
  });
}
