import { deepEqual, equal } from "node:assert/strict";
import type { GuestMemory } from "../guest_memory.ts";
import { GDT_SIZE, PAGE_TABLES_SIZE, writeGdt, writePageTables } from "./page_tables.ts";
import { ramOf } from "../../tests/sample_images.ts";

/** Walks the tables as the processor does; gives the physical address, or undefined. */
function translate(memory: GuestMemory, root: number, address: number): number | undefined {
  const entry = (table: number, shift: number) =>
    memory.readU32(table + (Math.floor(address / 2 ** shift) % 512) * 8);
  const pml4 = entry(root, 39);
  if ((pml4 & 3) !== 3) return undefined;
  const pdpt = entry(pml4 & ~0xfff, 30);
  if ((pdpt & 3) !== 3) return undefined;
  const pd = entry(pdpt & ~0xfff, 21);
  if ((pd & 0x83) !== 0x83) return undefined;
  return (pd >>> 21) * 2 ** 21 + address % 2 ** 21;
}

Deno.test("the first 4 GiB map to themselves, and nothing else does", () => {
  const memory = ramOf(0x2_0000);
  memory.bytes(0, 0x2_0000).fill(0xff);
  writePageTables(memory, 0x9000);
  for (const address of [0, 0x1fffff, 0x200000, 0x3fffffff, 0x40000000, 0xfee00000, 0xffffffff]) {
    equal(translate(memory, 0x9000, address), address);
  }
  equal(translate(memory, 0x9000, 0x1_0000_0000), undefined);
  equal(translate(memory, 0x9000, 2 ** 39), undefined);
  equal(memory.readU32(0x9000 - 4), 0xffff_ffff);
  equal(memory.readU32(0x9000 + PAGE_TABLES_SIZE), 0xffff_ffff);
});

Deno.test("the GDT has flat code at 0x10 and data at 0x18", () => {
  const memory = ramOf(0x1000);
  const entry = (selector: number) => memory.view(0x100 + selector, 8).getBigUint64(0, true);
  deepEqual(writeGdt(memory, 0x100, 64), { base: 0x100, limit: GDT_SIZE - 1 });
  deepEqual(
    [entry(0), entry(0x10), entry(0x18)],
    [0n, 0x00af_9b00_0000_ffffn, 0x00cf_9300_0000_ffffn],
  );
  writeGdt(memory, 0x100, 32);
  equal(entry(0x10), 0x00cf_9b00_0000_ffffn);
});
