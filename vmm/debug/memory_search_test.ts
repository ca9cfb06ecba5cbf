import assert from "node:assert/strict";
import fc from "fast-check";
import { PageTableBuilder } from "../../tests/page_table_builder.ts";
import { GuestMemory } from "../guest_memory.ts";
import { searchPhysical, searchVirtual } from "./memory_search.ts";
import { OwnMemory } from "./physical_memory.ts";
import { VirtualMemory } from "./virtual_memory.ts";

const SIZE = 9 * 2 ** 20;

Deno.test("a search finds each place, also where its chunks meet, and over neighbouring pieces", () => {
  const pieces = [0, SIZE, 3 * SIZE].map((base) => ({
    base,
    buffer: new ArrayBuffer(SIZE),
    ram: true,
  }));
  const guest = new GuestMemory(pieces);
  const memory = new OwnMemory(guest);
  fc.assert(
    fc.property(
      fc.uniqueArray(
        fc.oneof(
          fc.nat({ max: 2 * SIZE - 5 }),
          fc.integer({ min: -8, max: 8 }).map((off) => 4 * 2 ** 20 + off),
          fc.integer({ min: -4, max: 0 }).map((off) => SIZE + off),
        ),
        { maxLength: 6 },
      ),
      (places) => {
        const apart = places.toSorted((a, b) => a - b)
          .filter((at, i, all) => i === 0 || at - all[i - 1]! >= 5);
        const put = (text: string) => {
          for (const at of apart) {
            for (let i = 0; i < 5; i++) {
              guest.write(at + i, Uint8Array.of(text === "" ? 0 : text.charCodeAt(i)));
            }
          }
        };
        put("nEEdl");
        const found = [...searchPhysical(memory, new TextEncoder().encode("nEEdl"))];
        put("");
        assert.deepEqual(found, apart.map(BigInt));
      },
    ),
    { numRuns: 10 },
  );
});

Deno.test("what ends a piece and what begins one behind a hole is no find", () => {
  const guest = new GuestMemory([0, 0x2000].map((base) => ({
    base,
    buffer: new ArrayBuffer(0x1000),
    ram: true,
  })));
  guest.write(0xffe, new TextEncoder().encode("ab"));
  guest.write(0x2000, new TextEncoder().encode("cd"));
  const found = searchPhysical(new OwnMemory(guest), new TextEncoder().encode("abcd"));
  assert.deepEqual([...found], []);
});

Deno.test("linear addresses are searched as code sees them", () => {
  const builder = new PageTableBuilder("4-level");
  const rights = { writable: true, user: true, executable: true };
  builder.map(0x10_0000n, 0x9000, 4096, rights);
  builder.map(0x10_1000n, 0x8000, 4096, rights);
  builder.map(0x20_0000n, 0x9000, 4096, rights);
  builder.guest.write(0x9ffe, new TextEncoder().encode("ne"));
  builder.guest.write(0x8000, new TextEncoder().encode("ed"));
  const virtual = new VirtualMemory(builder.memory, builder.registers);
  const find = (
    text: string,
  ) => [...searchVirtual(builder.memory, virtual, new TextEncoder().encode(text))];
  assert.deepEqual(find("need"), [0x10_0ffen]);
  assert.deepEqual(find("ne"), [0x10_0ffen, 0x20_0ffen]);
});
