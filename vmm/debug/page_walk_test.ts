import assert from "node:assert/strict";
import fc from "fast-check";
import { GuestError } from "../../ffi/errors.ts";
import { PAGE_SIZES, PageTableBuilder, type TableMode } from "../../tests/page_table_builder.ts";
import { GuestMemory } from "../guest_memory.ts";
import { describeWalkFailure, PageTables, pagingMode, type Translation } from "./page_walk.ts";
import { OwnMemory } from "./physical_memory.ts";
import { VirtualMemory } from "./virtual_memory.ts";

const MODES: readonly TableMode[] = ["32-bit", "PAE", "4-level", "5-level"];
const BITS: Readonly<Record<TableMode, number>> = {
  "32-bit": 32,
  "PAE": 32,
  "4-level": 48,
  "5-level": 57,
};
const PHYSICAL_BITS: Readonly<Record<TableMode, number>> = {
  "32-bit": 32,
  "PAE": 52,
  "4-level": 52,
  "5-level": 52,
};

/** A linear address as the CPU has it: its highest bit goes on. */
function canonical(address: bigint, mode: TableMode): bigint {
  return BITS[mode] === 32 ? address : BigInt.asUintN(64, BigInt.asIntN(BITS[mode], address));
}

const mapping = (mode: TableMode) =>
  fc.record({
    linear: fc.bigInt({ min: 0n, max: 2n ** BigInt(BITS[mode]) - 1n }),
    physical: fc.nat({
      max: 2 ** (PHYSICAL_BITS[mode] - 22) - 1 > 2 ** 30 ? 2 ** 30 : 2 ** 10 - 1,
    }),
    size: fc.constantFrom(...PAGE_SIZES[mode]),
    offset: fc.nat({ max: 4095 }),
    writable: fc.boolean(),
    user: fc.boolean(),
    executable: fc.boolean(),
  });

for (const mode of MODES) {
  Deno.test(`${mode} paging leads where its tables say, for pages of every size`, () => {
    fc.assert(fc.property(fc.array(mapping(mode), { minLength: 1, maxLength: 12 }), (wanted) => {
      const builder = new PageTableBuilder(mode);
      const tables = new PageTables(builder.memory, builder.registers);
      assert.equal(tables.mode, mode);
      for (const { linear, physical, size, offset, ...rights } of wanted) {
        const page = linear - linear % BigInt(size);
        const frame = physical * size % 2 ** PHYSICAL_BITS[mode];
        if (!builder.map(page, frame, size, rights)) continue;
        const at = canonical(page + BigInt(offset), mode);
        const found = tables.translate(at) as Translation;
        const { physical: leads, pageSize, writable, user, executable } = found;
        assert.deepEqual([leads, pageSize, writable, user], [
          frame + offset,
          size,
          rights.writable,
          rights.user,
        ]);
        assert.equal(executable, rights.executable || mode === "32-bit");
      }
    }));
  });

  Deno.test(`${mode} paging: the map of what is mapped agrees with each walk`, () => {
    fc.assert(
      fc.property(fc.array(mapping(mode), { minLength: 1, maxLength: 8 }), (wanted) => {
        const builder = new PageTableBuilder(mode);
        let bytes = 0;
        for (const { linear, physical, size, ...rights } of wanted) {
          const page = linear - linear % BigInt(size);
          if (builder.map(page, physical * size, size, rights)) bytes += size;
        }
        const virtual = new VirtualMemory(builder.memory, builder.registers);
        let end = -1n;
        for (const range of virtual.ranges()) {
          assert.ok(range.start > end, "ascending, not overlapping");
          end = range.start + BigInt(range.size) - 1n;
          bytes -= range.size;
          for (const at of [range.start, end]) {
            const found = virtual.translate(at);
            assert.equal(found.physical, range.physical + Number(at - range.start));
            assert.deepEqual([found.pageSize, found.writable, found.user, found.executable], [
              range.pageSize,
              range.writable,
              range.user,
              range.executable,
            ]);
          }
        }
        assert.equal(bytes, 0);
      }),
      { numRuns: 30 },
    );
  });

  Deno.test(`${mode} paging: tables full of anything end every walk`, () => {
    const buffer = new ArrayBuffer(2 ** 16);
    const memory = new OwnMemory(new GuestMemory([{ base: 0, buffer, ram: true }]));
    const words = new DataView(buffer);
    const { registers } = new PageTableBuilder(mode);
    fc.assert(fc.property(
      fc.array(fc.tuple(fc.nat({ max: 8191 }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })), {
        minLength: 200,
        maxLength: 400,
      }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: 0n, max: 2n ** 20n }),
      (entries, linear, cr3) => {
        for (const [at, value] of entries) {
          // Mostly tables that are there, so that walks go down.
          const entry = value % 4n === 0n ? value : (value & 0xf000n) | 7n;
          words.setBigUint64(at * 8, entry, true);
        }
        const found = new PageTables(memory, { ...registers, cr3 }).translate(linear);
        if (!("physical" in found)) assert.ok(describeWalkFailure(found).length > 0);
      },
    ));
  });
}

Deno.test("without paging a linear address is a physical one", () => {
  const memory = new OwnMemory(new GuestMemory([]));
  const none = { cr0: 0x11n, cr3: 0n, cr4: 0n, efer: 0n };
  assert.equal(pagingMode(none), "none");
  const found = new PageTables(memory, none).translate(0x1_0000_7c00n) as Translation;
  assert.equal(found.physical, 0x7c00);
});

Deno.test("a failed walk says at which entry and why", () => {
  const builder = new PageTableBuilder("4-level");
  const tables = new PageTables(builder.memory, builder.registers);
  const rights = { writable: true, user: false, executable: true };
  builder.map(0x40_0000n, 0x8000, 4096, rights);
  const why = (linear: bigint) => {
    const found = tables.translate(linear);
    assert.ok(!("physical" in found));
    return describeWalkFailure(found);
  };
  assert.equal(why(0x8000_0000_0000n), "not canonical");
  assert.equal(why(0x40_1000n), "not present, PT (entry 0x0 at 0x4008)");
  assert.equal(why(0x80_0000n), "not present, PD (entry 0x0 at 0x3020)");
  assert.equal(why(0xffff_8000_0000_0000n), "not present, PML4 (entry 0x0 at 0x1800)");
  builder.set(0x1008, 0xff_ffff_f007n);
  assert.equal(why(0x80_0000_0000n), "table outside of memory, PDPT (entry at 0xfffffff000)");
  builder.set(0x1008, 0x2087n); // PS in a PML4 entry
  assert.equal(why(0x80_0000_0000n), "reserved bit, PML4 (entry 0x2087 at 0x1008)");
});

Deno.test("permissions are those of all levels together", () => {
  const builder = new PageTableBuilder("4-level");
  builder.map(0x1000n, 0x8000, 4096, { writable: true, user: true, executable: true });
  builder.set(0x2000, 0x3001n); // the PDPT's entry: present, nothing else
  const found = new PageTables(builder.memory, builder.registers).translate(0x1000n);
  assert.deepEqual(
    [(found as Translation).writable, (found as Translation).user],
    [false, false],
  );
});

Deno.test("a PML4 that is its own entry is walked as the MMU would", () => {
  const builder = new PageTableBuilder("4-level");
  builder.set(0x1ff8, 0x1003n);
  const tables = new PageTables(builder.memory, builder.registers);
  const found = tables.translate(0xffff_ffff_ffff_f000n) as Translation;
  assert.equal(found.physical, 0x1000);
});

Deno.test("tables that are all one table end the map with an error, not with the host's patience", () => {
  const builder = new PageTableBuilder("5-level");
  for (let at = 0x1000; at < 0x2000; at += 8) builder.set(at, 0x1003n);
  const virtual = new VirtualMemory(builder.memory, builder.registers);
  assert.throws(() => {
    for (const _ of virtual.ranges());
  }, GuestError);
});

Deno.test("virtual memory goes over pages that lie apart, both ways", () => {
  const builder = new PageTableBuilder("PAE");
  const rights = { writable: true, user: true, executable: false };
  builder.map(0x10_0000n, 0x9000, 4096, rights);
  builder.map(0x10_1000n, 0x8000, 4096, rights);
  const virtual = new VirtualMemory(builder.memory, builder.registers);
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => i);
  virtual.write(0x10_0ff8n, bytes);
  const back = new Uint8Array(16);
  virtual.read(0x10_0ff8n, back);
  assert.deepEqual(back, bytes);
  assert.deepEqual(builder.guest.read(0x9ff8, 8), bytes.slice(0, 8));
  assert.deepEqual(builder.guest.read(0x8000, 8), bytes.slice(8));
  assert.equal(virtual.readSome(0x10_1ff0n, 100).length, 16);
  assert.throws(() => virtual.write(0x10_1ff8n, bytes), /0x102000 is not mapped: not present, PT/);
  assert.deepEqual(builder.guest.read(0x8ff8, 8), new Uint8Array(8), "nothing was written");
});

Deno.test("what is mapped to no memory is not read as memory", () => {
  const builder = new PageTableBuilder("4-level");
  builder.map(0x1000n, 0xfee0_0000, 4096, { writable: true, user: true, executable: true });
  const virtual = new VirtualMemory(builder.memory, builder.registers);
  assert.throws(
    () => virtual.read(0x1000n, new Uint8Array(4)),
    /0x1000 leads to 0xfee00000, which is not memory/,
  );
});
