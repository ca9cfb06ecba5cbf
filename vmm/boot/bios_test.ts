import { deepEqual, equal, notEqual, throws } from "node:assert/strict";
import { installBios } from "./bios.ts";
import { BootE820Entry } from "./boot_params.ts";
import { ramOf } from "../../tests/sample_images.ts";

const image = { path: "kernel", bytes: new Uint8Array() };

Deno.test("every vector leads into the BIOS's segment, and known calls to code of their own", () => {
  const memory = ramOf(64 << 20);
  installBios(memory, image, 0x1020);
  const vectors = memory.view(0, 0x400);
  const ignored = vectors.getUint16(0xff * 4, true);
  equal(memory.bytes(0xf_0000 + ignored, 1)[0], 0xcf);
  for (let i = 0; i < 256; i++) equal(vectors.getUint16(i * 4 + 2, true), 0xf000);
  for (const number of [0x08, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x15, 0x16, 0x18, 0x1a, 0x77]) {
    notEqual(vectors.getUint16(number * 4, true), ignored);
  }
});

Deno.test("the BIOS data area tells of one serial port and 639 KiB", () => {
  const memory = ramOf(2 << 20);
  installBios(memory, image, 0x1020);
  const data = memory.view(0x400, 0x100);
  equal(data.getUint16(0x00, true), 0x3f8);
  equal(data.getUint16(0x0e, true), 0x9fc0);
  equal(data.getUint16(0x13, true), 639);
});

Deno.test("INT 15h's map is the memory map", () => {
  const memory = ramOf(64 << 20);
  installBios(memory, image, 0x1020);
  const entry = new BootE820Entry(memory.view(0xf_f800 + 2 * BootE820Entry.size, 20));
  deepEqual({ ...entry.toJSON() }, { addr: 0x10_0000, size: 63 << 20, type: 1 });
});

Deno.test("a machine without a whole first MiB gets an ImageError", () => {
  throws(() => installBios(ramOf(0xf_f000), image, 0x1020), /the BIOS's data needs memory/);
});
