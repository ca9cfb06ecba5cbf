import { deepEqual, equal, throws } from "node:assert/strict";
import { GuestMemory } from "../guest_memory.ts";
import { loadFlat } from "./flat.ts";
import { PAGE_TABLES_SIZE } from "./page_tables.ts";
import { patterned, ramOf } from "../../tests/sample_images.ts";

const MIB = 1 << 20;
const at = (base: number, length = 13) => ({ path: "x.bin", base, bytes: patterned(length) });

Deno.test("by default a flat image is a boot sector: 0000:7C00 in real mode", () => {
  const memory = ramOf(MIB);
  const state = loadFlat(memory, [{ path: "-", bytes: patterned(13) }]);
  deepEqual(state, { mode: "real", cs: 0, ds: 0, ip: 0x7c00, registers: { rsp: 0x7c00 } });
  deepEqual(memory.read(0x7c00, 13), patterned(13));
});

Deno.test("real mode above 64 KiB uses the image's own segment", () => {
  deepEqual(loadFlat(ramOf(MIB), [at(0x2_0000)], { entry: 0x2_0004 }), {
    mode: "real",
    cs: 0x2000,
    ds: 0x2000,
    ip: 4,
  });
  deepEqual(loadFlat(ramOf(MIB), [at(0x2_0005)]), {
    mode: "real",
    cs: 0x2000,
    ds: 0x2000,
    ip: 5,
  });
  throws(() => loadFlat(ramOf(2 * MIB), [at(MIB)]), /above 1 MiB, beyond real mode/);
});

Deno.test("protected and long mode start at any address with a stack below the image", () => {
  for (const mode of ["protected", "long"] as const) {
    for (const base of [0x1000, 0x7000, 0x8000, 0xd000, MIB + 5]) {
      const memory = ramOf(2 * MIB);
      const state = loadFlat(memory, [at(base, 0x2000)], { mode });
      equal(state.ip, base);
      equal(state.registers!.rsp, base);
      deepEqual(memory.read(base, 0x2000), patterned(0x2000), `${mode} at ${base}`);
      equal(state.gdt!.limit, 31);
      equal(state.pageTables === undefined, mode === "protected");
    }
  }
});

Deno.test("page tables avoid every image, however low memory is used", () => {
  const memory = ramOf(2 * MIB);
  const images = [at(0, 0x9_f000), at(MIB, 0x8_0000)];
  const { pageTables } = loadFlat(memory, images, { mode: "long", entry: 0 });
  equal(pageTables, 2 * MIB - 0x7000);
  deepEqual(memory.read(0, 0x9_f000), patterned(0x9_f000));
  const boot = loadFlat(memory, [at(0x7c00)], { mode: "long" });
  equal(boot.pageTables, 0x9_9000);
  throws(() => loadFlat(ramOf(0x1_0000), [at(0, 0x1_0000)], { mode: "long" }), {
    message: /the page tables needs? memory/,
    hint: "hvsh create -m 2M",
  });
  const small = loadFlat(ramOf(0x7000 + PAGE_TABLES_SIZE + 32), [at(0x1000)], { mode: "long" });
  equal(small.pageTables, 0x7000);
});

Deno.test("several images may lie anywhere in memory; the first one runs", () => {
  const memory = new GuestMemory([
    { base: 0, buffer: new ArrayBuffer(MIB), ram: true },
    { base: 0x1000_0000, buffer: new ArrayBuffer(0x1000), ram: false },
  ]);
  const state = loadFlat(memory, [at(0x7c00), at(0x1000_0000, 16)]);
  equal(state.ip, 0x7c00);
  deepEqual(memory.read(0x1000_0000, 16), patterned(16));
});

Deno.test("what can't be started is an ImageError", () => {
  const memory = ramOf(MIB);
  throws(() => loadFlat(memory, []), { name: "ImageError" });
  throws(() => loadFlat(memory, [at(0x7c00, 0)]), /x.bin: the image is empty/);
  throws(() => loadFlat(memory, [at(MIB - 12)]), { hint: "hvsh create -m 2M" });
  throws(() => loadFlat(memory, [at(2 ** 60)]), { name: "ImageError" });
  throws(() => loadFlat(memory, [at(0)], { entry: MIB }), /entry 0x100000 is not in/);
  const high = new GuestMemory([
    { base: 0, buffer: new ArrayBuffer(MIB), ram: true },
    { base: 2 ** 32, buffer: new ArrayBuffer(0x1000), ram: true },
  ]);
  throws(() => loadFlat(high, [at(2 ** 32)], { mode: "long" }), /above 4 GiB/);
});
