/**
 * The memory map that a guest is told, as BIOS call INT 15h AX=E820h would (ACPI 6.5 §15).
 *
 * @module
 */
import { Address } from "../board.ts";
import type { GuestMemory } from "../guest_memory.ts";

/** AddressRangeMemory: the guest may use it. */
export const E820_RAM = 1;
/** AddressRangeReserved: the guest must leave it alone. */
export const E820_RESERVED = 2;

/** One range of the map. */
export interface E820Range {
  /** Its first guest-physical address. */
  readonly addr: number;
  /** Its bytes. */
  readonly size: number;
  /** `E820_RAM` or `E820_RESERVED`. */
  readonly type: number;
}

/**
 * The map of a guest's memory: its RAM without the range from the extended BIOS data area to 1 MiB,
 * which holds the tables and is reserved. Regions that aren't RAM are left out.
 *
 * @param memory The guest's memory
 * @returns Ranges that don't touch or overlap, in ascending order
 */
export function memoryMap(memory: GuestMemory): E820Range[] {
  const ranges: E820Range[] = [];
  const add = (from: number, to: number) => {
    const last = ranges.at(-1);
    if (to <= from) return;
    if (last !== undefined && last.addr + last.size === from) {
      ranges[ranges.length - 1] = { ...last, size: to - last.addr };
    } else ranges.push({ addr: from, size: to - from, type: E820_RAM });
  };
  for (const { base, buffer, ram } of memory.regions) {
    if (!ram) continue;
    add(base, Math.min(base + buffer.byteLength, Address.EBDA));
    add(Math.max(base, Address.HIGH), base + buffer.byteLength);
  }
  ranges.push({ addr: Address.EBDA, size: Address.HIGH - Address.EBDA, type: E820_RESERVED });
  return ranges.sort((a, b) => a.addr - b.addr);
}
