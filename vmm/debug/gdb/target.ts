/**
 * A VM as GDB looks at it: threads are its vCPUs, from 1 on, and addresses are linear ones of the thread
 * that is chosen.
 *
 * @module
 */
import type { Machine } from "../../machine.ts";
import type { Debugger } from "../debugger.ts";
import { OwnMemory } from "../physical_memory.ts";
import { RegisterFiles } from "../register_files.ts";
import { VirtualMemory } from "../virtual_memory.ts";
import { memoryMapXml, targetXml } from "./target_description.ts";
import {
  type TargetArchitecture,
  type TargetFeature,
  targetFeatures,
  type TargetRegister,
} from "./target_registers.ts";

const EFER_LMA = 1n << 10n;

/** What GDB may look at and change of a VM. */
export class GdbTarget {
  readonly machine: Machine;
  readonly debugger: Debugger;
  readonly cpus: number;
  /** The registers by GDB's numbers. */
  readonly registers: readonly TargetRegister[];
  /** `target.xml`. */
  readonly description: string;

  private constructor(
    machine: Machine,
    debug: Debugger,
    cpus: number,
    architecture: TargetArchitecture,
    features: readonly TargetFeature[],
  ) {
    this.machine = machine;
    this.debugger = debug;
    this.cpus = cpus;
    this.registers = features.flatMap(({ registers }) => registers);
    this.description = targetXml(architecture, features);
  }

  /**
   * Opens a VM for GDB.
   *
   * @param machine The machine
   * @param architecture What GDB is told it is; left out, x86-64 unless the VM is a flat image that
   *   runs in 16 or 32 bits
   */
  static async open(machine: Machine, architecture?: TargetArchitecture): Promise<GdbTarget> {
    const debug = await machine.debugger();
    return await machine.inspect(({ vcpus }) => {
      const narrow = machine.document.boot?.flat !== undefined &&
        (vcpus[0]!.getSregs().efer & EFER_LMA) === 0n;
      const seen = architecture ?? (narrow ? "i386" : "i386:x86-64");
      const features = targetFeatures(seen, new RegisterFiles(vcpus[0]!));
      return new GdbTarget(machine, debug, vcpus.length, seen, features);
    });
  }

  /** The memory map. */
  get memoryMap(): string {
    return memoryMapXml(this.machine.slots);
  }

  /** Reads registers of a vCPU. */
  async read(cpu: number, registers: readonly TargetRegister[]): Promise<bigint[]> {
    return await this.machine.inspect(({ vcpus }) => {
      const values = new RegisterFiles(vcpus[cpu]!).read(registers.flatMap(({ of }) => of));
      return registers.map(({ of, read }) => read(of.map((name) => values[name] ?? 0n)));
    });
  }

  /**
   * Writes registers of a vCPU, those that change.
   *
   * @throws {VmError} If KVM refuses a value; none is changed then
   */
  async write(cpu: number, changes: readonly (readonly [TargetRegister, bigint])[]): Promise<void> {
    await this.machine.inspect(({ vcpus }) => {
      const files = new RegisterFiles(vcpus[cpu]!);
      const values = { ...files.read(changes.flatMap(([{ of }]) => of)) };
      const changed = new Set<string>();
      for (const [{ of, read, write }, value] of changes) {
        const old = of.map((name) => values[name] ?? 0n);
        if (read(old) === value) continue;
        write(value, old).forEach((part, i) => {
          values[of[i]!] = part;
          changed.add(of[i]!);
        });
      }
      files.write(Object.fromEntries([...changed].map((name) => [name, values[name]!])));
    });
  }

  /** Reads memory, as much of it as is mapped. */
  async readMemory(cpu: number, address: bigint, length: number): Promise<Uint8Array> {
    return await this.machine.inspect(({ vcpus, memory }) =>
      new VirtualMemory(new OwnMemory(memory), vcpus[cpu]!.getSregs()).readSome(address, length)
    );
  }

  /**
   * Writes memory.
   *
   * @throws {GuestError} If not all of it is mapped; nothing is written then
   */
  async writeMemory(cpu: number, address: bigint, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.machine.inspect(({ vcpus, memory }) =>
      new VirtualMemory(new OwnMemory(memory), vcpus[cpu]!.getSregs()).write(address, bytes)
    );
  }
}
