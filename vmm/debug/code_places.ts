/**
 * Where in a guest's code breakpoints are: linear addresses as vCPUs have them now, and the physical ones
 * that traps go to. No vCPU may run.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";
import type { GuestMemory } from "../guest_memory.ts";
import type { Breakpoint, BreakpointRequest, BreakpointTable } from "./breakpoint_table.ts";
import { INT3 } from "./code_patches.ts";
import { OwnMemory } from "./physical_memory.ts";
import { VirtualMemory } from "./virtual_memory.ts";

/** What code is looked at, and what for. */
export interface CodeParts {
  readonly vcpus: readonly Vcpu[];
  readonly memory: GuestMemory;
  readonly table: BreakpointTable;
  /** The bytes of a trap. */
  readonly trap: readonly number[];
  /** Where a linear address will lie that is not mapped yet, if that is known. */
  futurePlace(linear: bigint): number | undefined;
}

/** The code of one VM. */
export class CodePlaces {
  readonly #parts: CodeParts;
  readonly #physical: OwnMemory;

  /**
   * @param parts What code is looked at
   */
  constructor(parts: CodeParts) {
    this.#parts = parts;
    this.#physical = new OwnMemory(parts.memory);
  }

  /**
   * Where the bytes of a trap go.
   *
   * @param request The breakpoint
   * @param cpu Whose page tables count
   * @returns Guest-physical addresses
   * @throws {VmError} If no trap can be there
   */
  placeTrap({ address, physical }: BreakpointRequest, cpu: number): number[] {
    const { vcpus, memory, trap, futurePlace } = this.#parts;
    const { tables } = new VirtualMemory(this.#physical, vcpus[cpu]!.getSregs());
    return trap.map((_, i) => {
      const linear = address + BigInt(i);
      const found = physical === true ? undefined : tables.translate(linear);
      const mapped = found !== undefined && "physical" in found;
      const place = physical === true
        ? Number(linear)
        : mapped
        ? found.physical
        : futurePlace(linear);
      if (place === undefined || memory.find(place, 1) < 0) {
        throw new VmError(`No memory is at 0x${linear.toString(16)} now, so no trap fits there`, {
          hint: "a breakpoint in hardware (--hw) needs no memory yet, where the host's KVM has it",
        });
      }
      if (mapped && found.pageSize > 0 && found.user && trap !== INT3) {
        throw new VmError("This host's KVM does not tell of INT3, and other traps need ring 0");
      }
      return place;
    });
  }

  /** The breakpoints that wait for the instruction at a linear address. */
  at(pc: bigint, cpu: number): Breakpoint[] {
    const waiting = this.#parts.table.all.filter(({ kind }) => kind === "execute");
    if (waiting.length === 0) return waiting;
    const physical = this.translate(cpu, pc);
    return waiting.filter(({ address, how, patch }) =>
      how === "hardware" ? address === pc : patch![0] === physical
    );
  }

  /** Those of them that are traps. */
  trapsAt(pc: bigint, cpu: number): Breakpoint[] {
    return this.at(pc, cpu).filter(({ how }) => how === "software");
  }

  /** Whether there are traps that a vCPU may stand in the middle of. */
  get hasLongTraps(): boolean {
    const { trap, table } = this.#parts;
    return trap.length > 1 && table.patches.length > 0;
  }

  /** Whether a linear address is where a trap's rest goes. */
  isInTrap(pc: bigint, cpu: number): boolean {
    if (!this.hasLongTraps) return false;
    const physical = this.translate(cpu, pc) ?? -1;
    return this.#parts.table.patches.some((patch) => patch.indexOf(physical) > 0);
  }

  /** The guest-physical address of a linear one; undefined if nothing is mapped there. */
  translate(cpu: number, linear: bigint): number | undefined {
    const sregs = this.#parts.vcpus[cpu]!.getSregs();
    const found = new VirtualMemory(this.#physical, sregs).tables.translate(linear);
    return "physical" in found ? found.physical : undefined;
  }

  /** The byte at a linear address; undefined if that is not memory. */
  byteAt(cpu: number, linear: bigint): number | undefined {
    const { memory } = this.#parts;
    const physical = this.translate(cpu, linear);
    if (physical === undefined || memory.find(physical, 1) < 0) return undefined;
    return memory.bytes(physical, 1)[0];
  }
}
