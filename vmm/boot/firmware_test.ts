import { deepEqual, equal, throws } from "node:assert/strict";
import { GuestMemory } from "../guest_memory.ts";
import { firmwareRegion, loadFirmware } from "./firmware.ts";
import { patterned } from "../../tests/sample_images.ts";

const KIB = 1024;
const MIB = 1 << 20;

function machine(bytes: Uint8Array, ram = 2 * MIB) {
  const image = { path: "bios.bin", bytes };
  const { base, size } = firmwareRegion(image);
  const memory = new GuestMemory([
    { base: 0, buffer: new ArrayBuffer(ram), ram: true },
    { base, buffer: new ArrayBuffer(size), ram: false },
  ]);
  return { image, memory, base };
}

Deno.test("firmware ends at 4 GiB, and its last 128 KiB show below 1 MiB", () => {
  const bytes = patterned(512 * KIB);
  const { image, memory, base } = machine(bytes);
  deepEqual(loadFirmware(memory, image), { mode: "reset", ip: 0xfff0 });
  equal(base, 0xfff8_0000);
  deepEqual(memory.read(base, bytes.length), bytes);
  deepEqual(memory.read(0xe_0000, 128 * KIB), bytes.slice(384 * KIB));
  equal(memory.bytes(0xd_ffff, 1)[0], 0);
});

Deno.test("what fits into shadow RAM is there whole", () => {
  const bytes = patterned(256 * KIB);
  const { image, memory } = machine(bytes);
  loadFirmware(memory, image);
  deepEqual(memory.read(0xc_0000, bytes.length), bytes);
});

Deno.test("smaller firmware shows whole, up to 1 MiB", () => {
  const bytes = patterned(64 * KIB);
  const { image, memory } = machine(bytes);
  loadFirmware(memory, image);
  deepEqual(memory.read(0xf_0000, 64 * KIB), bytes);
  equal(memory.bytes(0xe_ffff, 1)[0], 0);
});

Deno.test("sizes that no ROM has are refused", () => {
  for (const size of [0, 1, 4095, 4097, 16 * MIB + 4096]) {
    throws(() => firmwareRegion({ path: "bios.bin", bytes: new Uint8Array(size) }), {
      name: "ImageError",
      message: new RegExp(`^bios.bin: firmware has ${size} bytes`),
    });
  }
  equal(firmwareRegion({ path: "b", bytes: new Uint8Array(16 * MIB) }).base, 0xff00_0000);
});

Deno.test("a machine with less than 1 MiB has no place for the copy", () => {
  const { image, memory } = machine(patterned(64 * KIB), 512 * KIB);
  throws(() => loadFirmware(memory, image), { hint: "hvsh create -m 1M" });
});
