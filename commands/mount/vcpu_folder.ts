/**
 * `vcpus/N/`
 *
 * @module
 */
import type { FigureRecord } from "../../vmm/debug/machine_figures.ts";
import { steps } from "./ctl_file.ts";
import { heldRecord } from "./held_record.ts";
import type { FolderNode } from "./node.ts";
import { registersFile } from "./registers_file.ts";
import { type FolderTable, tableFolder } from "./table_folder.ts";
import { flatKeyed, textFile } from "./text_file.ts";
import { virtualMemoryFile } from "./virtual_memory_file.ts";
import type { VmPlace } from "./vm_place.ts";

/** A vCPU. */
export interface VcpuPlace {
  readonly vm: VmPlace;
  readonly cpu: number;
}

const registers = (path: string, groups: readonly string[]) => (place: VcpuPlace) =>
  registersFile(place, path, groups);

/** Leaves of CPUID, as a vCPU's record has them. */
interface CpuidLeaf {
  readonly [key: string]: unknown;
}

const TABLE: FolderTable<VcpuPlace> = {
  regs: {
    help: "general registers; write `rax=0x1 rbx=2`, all or none",
    node: registers("regs", ["general"]),
  },
  sregs: {
    help: "segments, control and debug registers, pending events",
    node: registers("sregs", ["segment", "control", "debug", "event", "mp"]),
  },
  fpu: {
    help: "x87, SSE and AVX registers",
    node: registers("fpu", ["fpu", "sse", "avx", "avx512", "xcr"]),
  },
  msrs: { help: "model-specific registers", node: registers("msrs", ["msr"]) },
  lapic: { help: "the local APIC", node: registers("lapic", ["lapic"]) },
  cpuid: {
    help: "what CPUID tells the guest, a leaf a line",
    node: ({ vm, cpu }) =>
      textFile({
        read: (asker) =>
          vm.attempt(`vcpus/${cpu}/cpuid`, async () => {
            const record = await heldRecord(vm, `cpu/${cpu}.json`, asker);
            return (record as { cpuid: CpuidLeaf[] }).cpuid.map((leaf) =>
              Object.entries(leaf).map(([key, value]) => `${key} ${value}`).join(" ") + "\n"
            ).join("");
          }),
      }),
  },
  step: {
    help: "write how many instructions to carry out, of a paused VM; reads where that led",
    node: stepFile,
  },
  stats: {
    help: "what KVM and the host's scheduler count, a key a line",
    node: ({ vm, cpu }) =>
      textFile({
        read: (asker) =>
          vm.attempt(`vcpus/${cpu}/stats`, async () => {
            const { records } = await vm.ask("watch.figures", {}, asker) as {
              records: FigureRecord[];
            };
            const own = records.find(({ part, id }) => part === "vcpu" && id === cpu);
            return flatKeyed(own?.figures ?? {});
          }),
      }),
  },
  vmem: {
    help: "memory by linear addresses; the upper half is at 0x4000000000000000 to 0x7fff…",
    node: virtualMemoryFile,
  },
};

function stepFile({ vm, cpu }: VcpuPlace) {
  let last: Record<string, unknown> | undefined;
  const path = `vcpus/${cpu}/step`;
  return textFile({
    read: () => flatKeyed(last ?? {}),
    write: (text, asker) =>
      vm.attempt(path, async () => {
        last = await steps(vm, cpu, text.trim(), asker);
      }, text),
  });
}

/**
 * The folder of a vCPU.
 *
 * @param place The vCPU
 */
export function vcpuFolder(place: VcpuPlace): FolderNode {
  return tableFolder(TABLE, place, `vCPU ${place.cpu} of VM ${place.vm.name}`);
}
