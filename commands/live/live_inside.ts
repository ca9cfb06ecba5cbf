/**
 * The inside of a live VM, as verbs look at it: its memory by the files behind it, without its owner;
 * its registers by asking that one.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import type { PagingRegisters } from "../../vmm/debug/page_walk.ts";
import { ProcessMemory } from "../../vmm/debug/process_memory.ts";
import { registersFromJson, type RegisterValues } from "../../vmm/debug/register_files.ts";
import { openSymbols, type Symbols } from "../../vmm/debug/symbols.ts";
import { VirtualMemory } from "../../vmm/debug/virtual_memory.ts";
import { call } from "./json_rpc.ts";
import type { MemoryRecord } from "./methods/inspect.ts";
import type { RunDirectory } from "./run_directory.ts";

/** The registers that say how a vCPU's addresses are translated. */
export const PAGING_REGISTERS = ["cr0", "cr3", "cr4", "efer"] as const;

/** What is inside of a live VM. */
export class LiveInside implements Disposable {
  /** The VM's name. */
  readonly name: string;
  /** Its guest-physical memory. */
  readonly memory: ProcessMemory;
  readonly #directory: RunDirectory;
  readonly #kernel: string | undefined;
  #symbols: Promise<Symbols> | undefined;

  private constructor(directory: RunDirectory, { pid, slots, traps, kernel }: MemoryRecord) {
    this.#directory = directory;
    this.#kernel = kernel;
    this.name = directory.name;
    this.memory = new ProcessMemory(pid, slots, traps);
  }

  /**
   * Opens a VM.
   *
   * @param directory Its folder
   */
  static async open(directory: RunDirectory): Promise<LiveInside> {
    return new LiveInside(
      directory,
      await call(directory.control, "inspect.memory") as MemoryRecord,
    );
  }

  /**
   * Reads registers of a vCPU.
   *
   * @param names Which
   * @param cpu The vCPU's number
   */
  async registers(names: readonly string[], cpu = 0): Promise<RegisterValues> {
    const [found] = await call(this.#directory.control, "inspect.registers", { cpu, names }) as {
      registers: Record<string, unknown>;
    }[];
    return registersFromJson(found!.registers);
  }

  /**
   * The addresses that code on a vCPU sees.
   *
   * @param cpu The vCPU's number
   */
  async virtual(cpu = 0): Promise<VirtualMemory> {
    const values = await this.registers(PAGING_REGISTERS, cpu);
    return new VirtualMemory(this.memory, values as unknown as PagingRegisters);
  }

  /** The symbols of its kernel. */
  symbols(): Promise<Symbols> {
    const sources = this.#kernel === undefined ? {} : { kernel: this.#kernel };
    return this.#symbols ??= openSymbols(this.memory, sources);
  }

  /**
   * Reads an address as people write it.
   *
   * @param text A number, a size such as `1M`, a symbol, or `symbol+0x10`
   * @returns The address
   * @throws {VmError} If there is no such symbol
   */
  async address(text: string): Promise<bigint> {
    const number = numericAddress(text);
    if (number !== undefined) return number;
    const symbols = await this.symbols();
    const found = symbols.resolve(text);
    if (found !== undefined) return found;
    throw new VmError(`"${text}" is neither an address nor a symbol of VM "${this.name}"`, {
      hint: symbols.size === 0
        ? "no symbols were found in it"
        : "write it as 0x1000 or start_kernel",
    });
  }

  [Symbol.dispose](): void {
    this.memory[Symbol.dispose]();
  }
}

const UNIT: Readonly<Record<string, bigint>> = {
  "": 1n,
  k: 2n ** 10n,
  m: 2n ** 20n,
  g: 2n ** 30n,
  t: 2n ** 40n,
};

/**
 * Reads an address that is a number: 64 bits, unlike the sizes of documents.
 *
 * @param text What the user wrote
 * @returns The address; undefined if it is no number
 */
export function numericAddress(text: string): bigint | undefined {
  const match = /^(0x[0-9a-f]{1,16}|(\d{1,20})([kmgt]?))$/i.exec(text);
  if (match === null) return undefined;
  const value = match[2] === undefined
    ? BigInt(text)
    : BigInt(match[2]) * UNIT[match[3]!.toLowerCase()]!;
  return value < 2n ** 64n ? value : undefined;
}
