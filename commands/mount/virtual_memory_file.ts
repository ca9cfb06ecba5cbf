/**
 * `vcpus/N/vmem`: memory by the linear addresses of a vCPU, as its page tables are when it is read.
 *
 * Places in files have 63 bits. The upper half of the address space has its top bit left out:
 * 0xffffffff81000000 is at 0x7fffffff81000000.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { GuestError } from "../../ffi/errors.ts";
import type { PagingRegisters } from "../../vmm/debug/page_walk.ts";
import { ProcessMemory } from "../../vmm/debug/process_memory.ts";
import { registersFromJson } from "../../vmm/debug/register_files.ts";
import { VirtualMemory } from "../../vmm/debug/virtual_memory.ts";
import { PAGING_REGISTERS } from "../live/live_inside.ts";
import type { MemoryRecord } from "../live/methods/inspect.ts";
import { type Asker, FileError, type FileNode, type OpenFile } from "./node.ts";
import type { RegistersRecord } from "./registers_file.ts";
import type { VcpuPlace } from "./vcpu_folder.ts";

const MODE = 0o600;
/** Where a vCPU's page tables are may be as old as this. */
const FRESH_MILLISECONDS = 20;

/**
 * The file.
 *
 * @param place The vCPU
 */
export function virtualMemoryFile({ vm, cpu }: VcpuPlace): FileNode {
  const path = `vcpus/${cpu}/vmem`;
  return {
    kind: "file",
    attributes: () => ({ mode: MODE }),
    open: (_access, asker) =>
      vm.attempt(path, async () => {
        const { pid, slots, traps } = await vm.ask("inspect.memory", {}, asker) as MemoryRecord;
        return new OpenVirtualMemory({ vm, cpu }, path, new ProcessMemory(pid, slots, traps));
      }),
  };
}

class OpenVirtualMemory implements OpenFile {
  readonly #place: VcpuPlace;
  readonly #path: string;
  readonly #physical: ProcessMemory;
  #memory: VirtualMemory | undefined;
  #asked = 0;
  /** Where the last read ended: who reads on from there comes to an end where nothing is mapped. */
  #next = 0n;

  constructor(place: VcpuPlace, path: string, physical: ProcessMemory) {
    this.#place = place;
    this.#path = path;
    this.#physical = physical;
  }

  async read(position: bigint, size: number, asker: Asker): Promise<Uint8Array> {
    return await this.#place.vm.attempt(this.#path, async () => {
      const memory = await this.#virtual(asker);
      const bytes = memory.readSome(linear(position), size);
      if (bytes.length === 0 && position !== this.#next) {
        throw new FileError(Errno.EIO, `0x${linear(position).toString(16)} is not mapped`);
      }
      this.#next = position + BigInt(bytes.length);
      return bytes;
    });
  }

  /** Control registers are asked for again when they may have changed: that holds the vCPU. */
  async #virtual(asker: Asker): Promise<VirtualMemory> {
    const now = performance.now();
    if (this.#memory !== undefined && now - this.#asked <= FRESH_MILLISECONDS) return this.#memory;
    const { vm, cpu } = this.#place;
    const params = { cpu, names: PAGING_REGISTERS };
    const [found] = await vm.ask("inspect.registers", params, asker) as RegistersRecord[];
    const values = registersFromJson(found!.registers) as unknown as PagingRegisters;
    this.#asked = now;
    return this.#memory = new VirtualMemory(this.#physical, values);
  }

  async write(bytes: Uint8Array<ArrayBuffer>, position: bigint, asker: Asker): Promise<void> {
    const { vm } = this.#place;
    await vm.attempt(this.#path, async () => {
      const memory = await this.#virtual(asker);
      try {
        memory.write(linear(position), bytes);
      } catch (error) {
        if (!(error instanceof GuestError)) throw error;
        throw new FileError(Errno.EIO, error.message, { cause: error });
      }
      const ranges = this.#physical.takeWritten();
      await vm.ask("inspect.written", { ranges }, asker);
    });
  }

  close(): void {
    this.#physical[Symbol.dispose]();
  }
}

/** A place's highest bit, which is bit 62, stands for the one above it too. */
function linear(position: bigint): bigint {
  return BigInt.asUintN(64, BigInt.asIntN(63, position));
}
