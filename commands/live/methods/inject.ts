/**
 * What can be done to a VM's CPUs from outside.
 *
 * @module
 */
import { UsageError, VmError } from "../../../ffi/errors.ts";
import { injectMachineCheck, injectNmi, injectVector, MACHINE_CHECK } from "../../../vmm/inject.ts";
import type { MethodGroup } from "../methods.ts";

const MOST_BANK = 255;
const WORD = 1n << 64n;

/** The group `inject`. Numbers of 64 bits come as text. */
export const methods: MethodGroup = (vm) => {
  const { machine } = vm;
  return {
    nmi: async ({ cpu }) => {
      await injectNmi(machine, Number(cpu ?? 0));
      return vm.handle();
    },
    mce: async ({ cpu, bank, status, mcgStatus, address, misc }) => {
      await injectMachineCheck(machine, Number(cpu ?? 0), {
        bank: bank === undefined ? MACHINE_CHECK.bank : bankNumber(bank),
        status: word(status) ?? MACHINE_CHECK.status,
        mcgStatus: word(mcgStatus) ?? MACHINE_CHECK.mcgStatus,
        address: word(address) ?? MACHINE_CHECK.address,
        misc: word(misc) ?? MACHINE_CHECK.misc,
      });
      return vm.handle();
    },
    vector: async ({ cpu, vector, errorCode }) => {
      await injectVector(machine, Number(cpu ?? 0), Number(vector), Number(errorCode ?? 0));
      return vm.handle();
    },
    sysrq: ({ key }) => {
      const serial = machine.devices.find(({ type }) => type === "serial");
      if (serial === undefined) {
        throw new VmError("A SysRq comes by a serial port, and the VM has none");
      }
      machine.act(serial.name, "break");
      // It is taken when the guest has read the break.
      machine.console.send(new TextEncoder().encode(String(key)), serial.name);
      return vm.handle();
    },
  };
};

function bankNumber(value: unknown): number {
  const bank = Number(value);
  if (Number.isInteger(bank) && bank >= 0 && bank <= MOST_BANK) return bank;
  throw new UsageError(`There is no bank ${value} of machine checks`);
}

function word(value: unknown): bigint | undefined {
  if (value === undefined) return undefined;
  try {
    const number = BigInt(String(value));
    if (number >= 0n && number < WORD) return number;
  } catch {
    // It is said below.
  }
  throw new UsageError(`"${value}" is no number of 64 bits`);
}
