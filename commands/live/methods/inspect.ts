/**
 * What a VM's vCPUs and memory hold. Memory itself is read by those who ask, from the files behind it.
 *
 * @module
 */
import type { Vcpu } from "../../../ffi/kvm/vcpu.ts";
import type { TrapByte } from "../../../vmm/debug/code_patches.ts";
import { type SlotRecord, slotRecords } from "../../../vmm/debug/process_memory.ts";
import {
  RegisterFiles,
  registersFromJson,
  registersToJson,
} from "../../../vmm/debug/register_files.ts";
import { selectRegisters } from "../../../vmm/debug/register_selection.ts";
import { vcpuOf } from "../../../vmm/debug/vcpu_of.ts";
import type { MethodGroup } from "../methods.ts";

/** Where a VM's memory lies. */
export interface MemoryRecord {
  /** The process whose files it is in. */
  readonly pid: number;
  readonly slots: readonly SlotRecord[];
  /** What a debugger has put into the guest's code. */
  readonly traps: readonly TrapByte[];
  /** The kernel that it booted. */
  readonly kernel?: string;
}

/** The group `inspect`. */
export const methods: MethodGroup = ({ machine }) => ({
  memory: async (): Promise<MemoryRecord> => {
    await machine.filled; // the client reads it by the files behind it
    const kernel = machine.document.boot?.kernel?.path;
    const slots = slotRecords(machine.slots);
    return {
      pid: Deno.pid,
      slots,
      traps: machine.traps,
      ...(kernel === undefined ? {} : { kernel }),
    };
  },
  /** Somebody has written to memory by the files behind it. */
  written: ({ ranges }) => machine.memoryWritten(ranges as [number, number][]),
  /** Registers of one vCPU or of all: `[{cpu, registers: {rip: "0x…"}}]`. */
  registers: ({ cpu, names }) =>
    machine.inspect(({ vcpus }) =>
      chosen(vcpus, cpu).map((vcpu) => {
        const files = new RegisterFiles(vcpu);
        const wanted = selectRegisters(files, (names ?? []) as readonly string[]);
        return { cpu: vcpu.id, registers: registersToJson(files.read(wanted)) };
      })
    ),
  setRegisters: ({ cpu, registers }) =>
    machine.inspect(({ vcpus }) => {
      const values = registersFromJson(registers as Record<string, unknown>);
      for (const vcpu of chosen(vcpus, cpu)) new RegisterFiles(vcpu).write(values);
    }),
});

function chosen(vcpus: readonly Vcpu[], cpu: unknown): readonly Vcpu[] {
  return cpu === undefined ? vcpus : [vcpuOf(vcpus, Number(cpu))];
}
