/**
 * The memory of a VM of this process.
 *
 * @module
 */
import { OwnMemory } from "../../vmm/debug/physical_memory.ts";
import { vcpuOf } from "../../vmm/debug/vcpu_of.ts";
import { VirtualMemory } from "../../vmm/debug/virtual_memory.ts";
import type { Machine, MachineInside } from "../../vmm/machine.ts";
import { type AddressKind, type MemoryAccess, physicalAccess } from "../live/memory_access.ts";

/** Memory of a VM; its vCPUs are held while it is read and written. */
export class VmMemory {
  readonly #machine: Machine;

  /**
   * @param machine The machine
   */
  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /**
   * Copies bytes out of the guest's memory.
   *
   * @param address Guest-physical address, or a linear one with `virtual`
   * @param length Bytes
   * @param kind Which addresses are meant
   * @returns The bytes
   * @throws {GuestError} If one of them is no memory
   * @throws {VmError} If the VM has ended
   * @example
   * ```ts
   * import { create } from "../../mod.ts";
   * import assert from "node:assert/strict";
   *
   * const spin = Uint8Array.of(0xeb, 0xfe); // jmp $
   * await using vm = await create({ memory: "1M" }).flat(spin).start();
   * await vm.memory.write(0x2000, new TextEncoder().encode("hello"));
   * assert.equal(new TextDecoder().decode(await vm.memory.read(0x2000, 5)), "hello");
   * assert.deepEqual(await vm.memory.read(0x7c00, 2, { virtual: true }), spin);
   * ```
   */
  async read(
    address: number | bigint,
    length: number,
    kind: AddressKind = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    const target = new Uint8Array(length);
    await this.#access(kind, (memory) => memory.read(BigInt(address), target));
    return target;
  }

  /**
   * Copies bytes into the guest's memory, whatever its page tables permit.
   *
   * @param address Guest-physical address, or a linear one with `virtual`
   * @param bytes What to write
   * @param kind Which addresses are meant
   * @throws {GuestError} If one of them is no memory; nothing is written then
   * @throws {VmError} If the VM has ended
   */
  async write(
    address: number | bigint,
    bytes: Uint8Array<ArrayBuffer>,
    kind: AddressKind = {},
  ): Promise<void> {
    await this.#access(kind, (memory) => memory.write(BigInt(address), bytes));
    this.#machine.memoryWritten([]); // what of it devices are not to miss, is noted
  }

  async #access(kind: AddressKind, work: (memory: MemoryAccess) => void): Promise<void> {
    await this.#machine.inspect((inside) => work(accessTo(inside, kind)));
  }
}

function accessTo({ vcpus, memory }: MachineInside, { virtual, cpu = 0 }: AddressKind) {
  const own = new OwnMemory(memory);
  return virtual === true
    ? new VirtualMemory(own, vcpuOf(vcpus, cpu).getSregs())
    : physicalAccess(own);
}
