import { deepEqual } from "node:assert/strict";
import fc from "fast-check";
import { GuestMemory } from "../guest_memory.ts";
import { E820_RAM, E820_RESERVED, memoryMap } from "./e820.ts";
import { ramOf } from "../../tests/sample_images.ts";

const region = (base: number, size: number, ram = true) => ({
  base,
  buffer: new ArrayBuffer(size),
  ram,
});

Deno.test("the map leaves out what lies between the EBDA and 1 MiB", () => {
  deepEqual(memoryMap(ramOf(4 << 20)), [
    { addr: 0, size: 0x9fc00, type: E820_RAM },
    { addr: 0x9fc00, size: 0x60400, type: E820_RESERVED },
    { addr: 0x100000, size: 3 << 20, type: E820_RAM },
  ]);
});

Deno.test("small RAM, holes, high RAM and ROM are told as they are", () => {
  deepEqual(memoryMap(ramOf(0x1000)), [
    { addr: 0, size: 0x1000, type: E820_RAM },
    { addr: 0x9fc00, size: 0x60400, type: E820_RESERVED },
  ]);
  const memory = new GuestMemory([
    region(0x1_0000_0000, 0x3000),
    region(0x20_0000, 0x1000),
    region(0x20_1000, 0x1000),
    region(0x30_0000, 0x1000, false),
  ]);
  deepEqual(memoryMap(memory), [
    { addr: 0x9fc00, size: 0x60400, type: E820_RESERVED },
    { addr: 0x20_0000, size: 0x2000, type: E820_RAM },
    { addr: 0x1_0000_0000, size: 0x3000, type: E820_RAM },
  ]);
});

Deno.test("whatever the regions, ranges ascend, don't overlap, and are RAM where they say so", () => {
  const pages = fc.array(fc.record({ gap: fc.nat(300), size: fc.integer({ min: 1, max: 40 }) }), {
    maxLength: 6,
  });
  fc.assert(fc.property(pages, (pieces) => {
    let base = 0;
    const memory = new GuestMemory(pieces.map(({ gap, size }) => {
      base += gap * 0x1000;
      const piece = region(base, size * 0x1000);
      base += size * 0x1000;
      return piece;
    }));
    let end = 0;
    for (const { addr, size, type } of memoryMap(memory)) {
      deepEqual(addr >= end && size > 0, true);
      end = addr + size;
      if (type === E820_RAM) {
        deepEqual([memory.find(addr, 1) >= 0, memory.find(end - 1, 1) >= 0], [true, true]);
      }
    }
  }));
});
