/**
 * Names for addresses of the guest's kernel, and addresses for names: out of an ELF's symbol table, or
 * out of the tables that Linux keeps of itself in memory (CONFIG_KALLSYMS).
 *
 * @module
 */
import { detectImage } from "../boot/image.ts";
import { readImage } from "../boot/read_image.ts";
import { elfSymbols } from "./elf_symbols.ts";
import { findKernel } from "./kernel_symbols.ts";
import { moduleSymbols } from "./module_symbols.ts";
import type { PhysicalMemory } from "./physical_memory.ts";

/** A symbol. */
export interface Symbol {
  readonly name: string;
  /** Virtual address. */
  readonly address: bigint;
  /** Bytes; 0 where nothing says it, and the next symbol ends it. */
  readonly size: number;
  /** The kernel module that it is in; left out for the kernel itself. */
  readonly module?: string;
}

/** What an address is called. */
export interface NamedAddress {
  /** The symbol at or below the address. */
  readonly name: string;
  /** Bytes from the symbol to the address. */
  readonly offset: number;
  /** The kernel module that it is in; left out for the kernel itself. */
  readonly module?: string;
}

/** Nothing that has no size of its own is longer: an address far behind is somebody else's. */
const MOST_SIZE = 2n ** 20n;

/**
 * Symbols, looked up both ways.
 *
 * @example
 * ```ts
 * import { Symbols } from "./symbols.ts";
 * import assert from "node:assert/strict";
 *
 * const symbols = new Symbols([
 *   { name: "start_kernel", address: 0xffffffff81000040n, size: 0 },
 *   { name: "rest_init", address: 0xffffffff81000400n, size: 16 },
 * ]);
 * assert.equal(symbols.describe(0xffffffff81000050n), "start_kernel+0x10");
 * assert.equal(symbols.address("rest_init"), 0xffffffff81000400n);
 * assert.equal(symbols.nearest(0xffffffff81000410n), undefined);
 * ```
 */
export class Symbols {
  readonly #symbols: readonly Symbol[];
  readonly #addresses: BigUint64Array;
  #byName: Map<string, bigint> | undefined;

  /**
   * @param symbols In any order; of several on one address the first gives its name
   */
  constructor(symbols: readonly Symbol[]) {
    const sorted = symbols.every((s, i) => i === 0 || symbols[i - 1]!.address <= s.address);
    this.#symbols = sorted
      ? symbols
      : symbols.toSorted((a, b) => a.address < b.address ? -1 : a.address > b.address ? 1 : 0);
    this.#addresses = BigUint64Array.from(this.#symbols, ({ address }) => address);
  }

  /** How many there are. */
  get size(): number {
    return this.#symbols.length;
  }

  /** All of them in ascending order of address. */
  [globalThis.Symbol.iterator](): Iterator<Symbol> {
    return this.#symbols[globalThis.Symbol.iterator]();
  }

  /**
   * What an address is called.
   *
   * @param address Virtual address
   * @returns The symbol that it lies in; undefined if there is none
   */
  nearest(address: bigint): NamedAddress | undefined {
    let low = 0;
    let high = this.#addresses.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#addresses[middle]! <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const start = this.#addresses[low - 1]!;
    let first = low - 1;
    while (first > 0 && this.#addresses[first - 1] === start) first--;
    const { name, size, module } = this.#symbols[first]!;
    const offset = address - start;
    if (offset >= (size === 0 ? MOST_SIZE : BigInt(size))) return undefined;
    return { name, offset: Number(offset), ...(module === undefined ? {} : { module }) };
  }

  /**
   * An address in words.
   *
   * @param address Virtual address
   * @returns `schedule+0x1c`, `ext4_read [ext4]`; undefined if it has no name
   */
  describe(address: bigint): string | undefined {
    const found = this.nearest(address);
    if (found === undefined) return undefined;
    const offset = found.offset === 0 ? "" : `+0x${found.offset.toString(16)}`;
    return `${found.name}${offset}${found.module === undefined ? "" : ` [${found.module}]`}`;
  }

  /**
   * Where a symbol lies.
   *
   * @param name Its name
   * @returns Its virtual address, the lowest of several; undefined if there is none
   */
  address(name: string): bigint | undefined {
    if (this.#byName === undefined) {
      this.#byName = new Map();
      for (const { name, address } of this.#symbols) {
        if (!this.#byName.has(name)) this.#byName.set(name, address);
      }
    }
    return this.#byName.get(name);
  }

  /**
   * Reads an address as people write it.
   *
   * @param text `0xffffffff81000000`, `4096`, `start_kernel`, `start_kernel+0x10`
   * @returns The address; undefined if there is no such symbol
   */
  resolve(text: string): bigint | undefined {
    const match = /^(.*?)(?:\+(0x[0-9a-f]+|\d+))?$/is.exec(text.trim())!;
    const base = match[1]!;
    const start = /^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(base) ? BigInt(base) : this.address(base);
    return start === undefined ? undefined : BigInt.asUintN(64, start + BigInt(match[2] ?? 0));
  }
}

/** Where symbols may come from, besides memory. */
export interface SymbolSources {
  /** The kernel that was booted; its symbol table counts if it is an ELF that has one. */
  readonly kernel?: string;
}

/**
 * Finds a guest's symbols: the symbol table of an ELF kernel, otherwise what a Linux in memory says of
 * itself wherever it was loaded, and of its modules. Cheap enough to be asked anew when a module may have
 * come: 0.1 to 0.5 s.
 *
 * @param memory The guest's memory
 * @param sources What else there is
 * @returns The symbols; none if nothing was found
 */
export async function openSymbols(
  memory: PhysicalMemory,
  sources: SymbolSources = {},
): Promise<Symbols> {
  const kernel = findKernel(memory);
  const modules = kernel === undefined ? [] : moduleSymbols(memory, kernel);
  const table = sources.kernel === undefined ? [] : await tableOf(sources.kernel);
  return new Symbols([...(table.length > 0 ? table : kernel?.symbols ?? []), ...modules]);
}

/** The symbol table of a file; empty if it has none or cannot be read any more. */
async function tableOf(path: string): Promise<Symbol[]> {
  try {
    using file = await Deno.open(path);
    const start = new Uint8Array(16);
    await file.read(start);
    const kind = detectImage(start);
    if (kind !== "elf32" && kind !== "elf64") return [];
    return elfSymbols(await readImage(path));
  } catch {
    return [];
  }
}
