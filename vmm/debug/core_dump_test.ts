import assert from "node:assert/strict";
import { PageTableBuilder } from "../../tests/page_table_builder.ts";
import { Elf64Ehdr, Elf64Phdr } from "../boot/elf.ts";
import { coreDump } from "./core_dump.ts";
import { joinBytes } from "./join_bytes.ts";
import type { RegisterValues } from "./register_files.ts";

const PT_LOAD = 1;
const KERNEL = 0xffff_ffff_8000_0000n;
const PAGE = 4096;
const PROGRAM = { writable: true, user: true, executable: false };
const OWN = { ...PROGRAM, user: false };

/** The PT_LOADs of a guest's core, and the core. */
function loads(builder: PageTableBuilder) {
  const registers = builder.registers as unknown as RegisterValues;
  const chunks = coreDump(builder.memory, [{ cpu: 0, registers }]);
  const core = joinBytes(Array.from(chunks, (chunk) => chunk.slice()));
  const view = new DataView(core.buffer);
  const { e_phoff, e_phnum } = new Elf64Ehdr(view);
  const headers = Array.from(
    { length: e_phnum },
    (_, i) => new Elf64Phdr(view, Number(e_phoff) + i * Elf64Phdr.size),
  );
  return { core, segments: headers.filter(({ p_type }) => p_type === PT_LOAD) };
}

/** A table whose entries all lead to one place, and an entry of the table above for it. */
function fill(builder: PageTableBuilder, table: number, entry: bigint): bigint {
  for (let at = table; at < table + PAGE; at += 8) builder.set(at, entry);
  return BigInt(table) | 7n;
}

Deno.test("a core has memory by linear and by physical addresses, each byte once", () => {
  const builder = new PageTableBuilder("4-level");
  builder.map(KERNEL, 0x8_0000, PAGE, OWN);
  builder.map(KERNEL + 0x1000n, 0x8_1000, PAGE, OWN);
  builder.map(0x40_0000n, 0x9_0000, PAGE, PROGRAM);
  builder.guest.bytes(0x8_1000, 4).set([1, 2, 3, 4]);
  const { core, segments } = loads(builder);
  assert.deepEqual(
    segments.map((load) => [load.p_vaddr, load.p_paddr, load.p_memsz].map(Number)),
    [
      [0x40_0000, 0x9_0000, PAGE],
      [Number(KERNEL), 0x8_0000, 2 * PAGE],
      [0, 0, 2 ** 20],
    ],
  );
  const [, kernel, physical] = segments;
  assert.equal(Number(kernel!.p_offset), Number(physical!.p_offset) + 0x8_0000);
  const at = Number(kernel!.p_offset) + PAGE;
  assert.deepEqual([...core.subarray(at, at + 4)], [1, 2, 3, 4]);
  assert.equal(core.length, Number(physical!.p_offset) + 2 ** 20);
});

Deno.test("a page that is mapped 65536 times leaves room for the rest of the kernel", () => {
  const builder = new PageTableBuilder("4-level");
  const clones = 0xffff_ff00_0000_0000n; // where Linux has them
  builder.map(clones, 0x8_0000, PAGE, OWN);
  builder.map(KERNEL, 0x8_1000, PAGE, OWN);
  // The third table that the first mapping has made is its page directory.
  const directory = 0x3000;
  const table = fill(builder, 0xf_0000, 0x8_0003n);
  for (let i = 0; i < 128; i++) builder.set(directory + 8 * i, table);
  const { segments } = loads(builder);
  assert.ok(segments.some(({ p_vaddr }) => p_vaddr === KERNEL));
  assert.ok(segments.length < 100, `${segments.length} segments`);
});

Deno.test("of more than an ELF can tell of the kernel's own comes first", () => {
  const builder = new PageTableBuilder("4-level", 2 ** 24);
  // Every second page, so that none joins the next.
  for (let page = 0; page < 40_000; page++) {
    const physical = 0x40_0000 + (page % 2500) * PAGE;
    builder.map(BigInt(2 * page * PAGE), physical, PAGE, PROGRAM);
  }
  builder.map(KERNEL, 0x8_1000, PAGE, OWN);
  const { segments } = loads(builder);
  assert.equal(segments.length, 0x8000 + 1);
  assert.equal(segments.at(-2)!.p_vaddr, KERNEL);
});

Deno.test("tables that lead to themselves for ever still make a core", () => {
  const builder = new PageTableBuilder("5-level");
  for (let at = 0x1000; at < 0x2000; at += 8) builder.set(at, 0x1003n);
  const { segments } = loads(builder);
  assert.equal(Number(segments.at(-1)!.p_memsz), 2 ** 20);
});
