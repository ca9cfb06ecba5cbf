/**
 * The page tables and descriptors that a vCPU starts on when it starts past real mode.
 *
 * @module
 */
import type { GuestMemory } from "../guest_memory.ts";

const PAGE = 0x1000;
const ENTRIES = 512;
const GIBS = 4;
const TWO_MIB = 0x20_0000;

/** Present and writable (Intel SDM vol. 3 §4.5, table 4-15 on). */
const PRESENT_WRITABLE = 0x3;
/** PS: this entry maps a 2 MiB page. */
const LARGE = 0x80;

/** Bytes that {@linkcode writePageTables} fills: a PML4, a PDPT and four page directories. */
export const PAGE_TABLES_SIZE = (2 + GIBS) * PAGE;

/** Bytes that {@linkcode writeGdt} fills. */
export const GDT_SIZE = 4 * 8;

/** Flat segments with G set: code 64-bit (L), code 32-bit (D/B), data (Intel SDM vol. 3 §3.4.5). */
const CODE64 = { low: 0x0000_ffff, high: 0x00af_9b00 };
const CODE32 = { low: 0x0000_ffff, high: 0x00cf_9b00 };
const DATA = { low: 0x0000_ffff, high: 0x00cf_9300 };

/**
 * Writes page tables that map the first 4 GiB one to one by 2 MiB pages.
 *
 * @param memory The guest's memory
 * @param address Where, on a page boundary, with room for {@linkcode PAGE_TABLES_SIZE}
 * @throws {GuestError} If there is no memory
 */
export function writePageTables(memory: GuestMemory, address: number): void {
  const view = memory.view(address, PAGE_TABLES_SIZE);
  const words = new Uint32Array(view.buffer, view.byteOffset, PAGE_TABLES_SIZE / 4);
  words.fill(0);
  const pdpt = address + PAGE;
  const directories = pdpt + PAGE;
  words[0] = pdpt | PRESENT_WRITABLE;
  for (let i = 0; i < GIBS; i++) {
    words[(pdpt - address) / 4 + i * 2] = (directories + i * PAGE) | PRESENT_WRITABLE;
  }
  for (let i = 0; i < GIBS * ENTRIES; i++) {
    words[(directories - address) / 4 + i * 2] = i * TWO_MIB + LARGE + PRESENT_WRITABLE;
  }
}

/**
 * Writes a GDT with Linux's selectors: code at 0x10, data at 0x18 (boot protocol, "32-bit" and
 * "64-bit boot protocol").
 *
 * @param memory The guest's memory
 * @param address Where, with room for {@linkcode GDT_SIZE}
 * @param bits Whether the code segment is a 32-bit or a 64-bit one
 * @returns What GDTR is to hold
 * @throws {GuestError} If there is no memory
 */
export function writeGdt(
  memory: GuestMemory,
  address: number,
  bits: 32 | 64,
): { base: number; limit: number } {
  const view = memory.view(address, GDT_SIZE);
  const code = bits === 64 ? CODE64 : CODE32;
  [0, 0, 0, 0, code.low, code.high, DATA.low, DATA.high].forEach((word, i) =>
    view.setUint32(i * 4, word, true)
  );
  return { base: address, limit: GDT_SIZE - 1 };
}
