/**
 * Symbols of the modules that a running Linux has loaded. How `struct module` is laid out differs from
 * kernel to kernel, but it begins with its state, its place in the list `modules` and its name, and where
 * its symbols are is told by a `struct mod_kallsyms` inside of it: symtab, num_symtab, strtab, of which the
 * second table follows the first (kernel/module/kallsyms.c).
 *
 * @module
 */
import { GuestError } from "../../ffi/errors.ts";
import { stringAt } from "./elf_symbols.ts";
import type { KernelInMemory } from "./kernel_symbols.ts";
import type { PhysicalMemory } from "./physical_memory.ts";
import type { Symbol } from "./symbols.ts";
import { VirtualMemory } from "./virtual_memory.ts";

const MOST_MODULES = 2048;
/** `struct module` has 0x340 bytes in 6.1. */
const MODULE_BYTES = 0x800;
const LIST_OFFSET = 8n;
const NAME_OFFSET = 24;
const NAME_BYTES = 56;
const SYMBOL_BYTES = 24;
const MOST_SYMBOLS = 200_000;
const MOST_STRINGS = 8 * 2 ** 20;
const CR0_PG = 1n << 31n;
const CR4_PAE = 1n << 5n;
const CR4_LA57 = 1n << 12n;
const EFER_LMA_NXE = 0xc00n;

/**
 * Reads the modules' symbols.
 *
 * @param memory The guest's memory
 * @param kernel The kernel in it
 * @returns Symbols with the names of their modules; those of a module that is not understood are left out
 */
export function moduleSymbols(memory: PhysicalMemory, kernel: KernelInMemory): Symbol[] {
  const head = kernel.address("modules");
  const root = kernel.address("init_top_pgt");
  if (head === undefined || root === undefined) return [];
  const virtual = kernelSpace(memory, root - kernel.virtualMinusPhysical, head, kernel);
  if (virtual === undefined) return [];
  const symbols: Symbol[] = [];
  let left = MOST_SYMBOLS;
  try {
    let entry = readU64(virtual, head);
    for (let count = 0; entry !== head && count < MOST_MODULES; count++) {
      const module = virtual.readSome(entry - LIST_OFFSET, MODULE_BYTES);
      const found = symbolsOf(virtual, module, left);
      left -= found.length;
      symbols.push(...found);
      entry = readU64(virtual, entry);
    }
  } catch (error) {
    if (!(error instanceof GuestError)) throw error; // a list that leads nowhere ends there
  }
  return symbols;
}

/** The kernel's address space, by the page tables that it began with and shares with all processes. */
function kernelSpace(
  memory: PhysicalMemory,
  root: bigint,
  known: bigint,
  { virtualMinusPhysical }: KernelInMemory,
): VirtualMemory | undefined {
  return [CR4_PAE, CR4_PAE | CR4_LA57]
    .map((cr4) => new VirtualMemory(memory, { cr0: CR0_PG, cr3: root, cr4, efer: EFER_LMA_NXE }))
    .find(({ tables }) => {
      const found = tables.translate(known);
      return "physical" in found && BigInt(found.physical) === known - virtualMinusPhysical;
    });
}

function symbolsOf(
  virtual: VirtualMemory,
  module: Uint8Array<ArrayBuffer>,
  most: number,
): Symbol[] {
  if (module.length < NAME_OFFSET + NAME_BYTES) return [];
  const name = stringAt(module.subarray(NAME_OFFSET, NAME_OFFSET + NAME_BYTES), 0);
  if (!/^[\w-]+$/.test(name)) return [];
  const view = new DataView(module.buffer, module.byteOffset, module.byteLength);
  for (let at = NAME_OFFSET + NAME_BYTES; at + 32 <= module.length; at += 8) {
    const count = view.getUint32(at + 8, true);
    const table = view.getBigUint64(at, true);
    const strings = view.getBigUint64(at + 16, true);
    if (count === 0 || count > most || table + BigInt(count * SYMBOL_BYTES) !== strings) continue;
    const types = view.getBigUint64(at + 24, true); // what follows the strings
    const length = types > strings ? Number(types - strings) : MOST_STRINGS;
    return readSymbols(virtual, name, table, count, Math.min(length, MOST_STRINGS));
  }
  return [];
}

function readSymbols(
  virtual: VirtualMemory,
  module: string,
  table: bigint,
  count: number,
  stringBytes: number,
): Symbol[] {
  const bytes = virtual.readSome(table, count * SYMBOL_BYTES);
  const strings = virtual.readSome(table + BigInt(count * SYMBOL_BYTES), stringBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const symbols: Symbol[] = [];
  for (let at = SYMBOL_BYTES; at + SYMBOL_BYTES <= bytes.length; at += SYMBOL_BYTES) {
    const name = stringAt(strings, view.getUint32(at, true));
    const address = view.getBigUint64(at + 8, true);
    if (name === "" || view.getUint16(at + 6, true) === 0 || address < 2n ** 63n) continue;
    const size = Math.min(Number(view.getBigUint64(at + 16, true)), 2 ** 32);
    symbols.push({ name, address, size, module });
  }
  return symbols;
}

function readU64(virtual: VirtualMemory, address: bigint): bigint {
  const bytes = new Uint8Array(8);
  virtual.read(address, bytes);
  return new DataView(bytes.buffer).getBigUint64(0, true);
}
