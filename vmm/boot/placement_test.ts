import { deepEqual, equal, throws } from "node:assert/strict";
import { Address } from "../board.ts";
import { GuestMemory } from "../guest_memory.ts";
import { memoryError, placeCmdline, placeInitrd, ramEnd, requireRam } from "./placement.ts";
import { patterned, ramOf } from "../../tests/sample_images.ts";

const MIB = 1 << 20;
const image = { path: "kernel", bytes: patterned(0x1801) };

Deno.test("ramEnd tells where a piece of RAM ends, and that ROM is none", () => {
  const memory = new GuestMemory([
    { base: 0, buffer: new ArrayBuffer(0x1000), ram: true },
    { base: 0x2000, buffer: new ArrayBuffer(0x1000), ram: false },
  ]);
  equal(ramEnd(memory, 0xfff), 0x1000);
  equal(ramEnd(memory, 0x1000), 0x1000);
  equal(ramEnd(memory, 0x2000), 0x2000);
});

Deno.test("memoryError names the size to ask for, where a size helps", () => {
  const error = memoryError(ramOf(2 * MIB), image, "the kernel", 3 * MIB + 1);
  equal(
    error.message,
    "kernel: the kernel needs memory up to 0x300001 (4 MiB), the machine has 2 MiB in one piece from 0",
  );
  equal(error.hint, "hvsh create -m 4M");
  const beyond = memoryError(ramOf(2 * MIB), image, "the kernel", Address.LOW_RAM_END + 1);
  equal(beyond.hint, undefined);
});

Deno.test("requireRam keeps images off the machine's tables and inside RAM", () => {
  const memory = ramOf(2 * MIB);
  requireRam(memory, image, Address.HIGH, MIB, "p_paddr");
  requireRam(memory, image, 0x3_0000, 0x1000, "p_paddr");
  throws(() => requireRam(memory, image, 0x6000, 0x1001, "p_paddr"), /on the machine's own tables/);
  throws(() => requireRam(memory, image, Address.BIOS, 16, "p_paddr"), /0x9fc00-0xfffff/);
  throws(() => requireRam(memory, image, Address.HIGH, MIB + 1, "p_paddr"), {
    name: "ImageError",
    hint: "hvsh create -m 3M",
  });
  throws(() => requireRam(memory, image, 2 ** 60, 16, "p_paddr"), /above the 0xc0000000/);
});

Deno.test("an initial RAM disk goes as high as it may, on a page boundary", () => {
  const memory = ramOf(4 * MIB);
  equal(placeInitrd(memory, image, MIB, 0x7fff_ffff), 4 * MIB - 0x2000);
  deepEqual(memory.read(4 * MIB - 0x2000, image.bytes.length), image.bytes);
  equal(placeInitrd(memory, image, MIB, 3 * MIB - 1), 3 * MIB - 0x2000);
  equal(placeInitrd(memory, image, 4 * MIB - 0x2000, 0x7fff_ffff), 4 * MIB - 0x2000);
  throws(() => placeInitrd(memory, image, 4 * MIB - 0x1fff, 0x7fff_ffff), {
    name: "ImageError",
    hint: "hvsh create -m 5M",
  });
  throws(() => placeInitrd(memory, image, MIB, 0), /initial RAM disk/);
});

Deno.test("a command line is checked against the kernel's length, its zero byte not counted", () => {
  const memory = ramOf(MIB);
  equal(placeCmdline(memory, image, "abc", 3), Address.CMDLINE);
  deepEqual([...memory.read(Address.CMDLINE, 4)], [0x61, 0x62, 0x63, 0]);
  throws(() => placeCmdline(memory, image, "abcd", 3), /has 4 bytes, this kernel takes 3/);
  throws(() => placeCmdline(memory, image, "ä", 1), /has 2 bytes/);
  throws(() => placeCmdline(memory, image, "a\0b", 100), /zero byte inside/);
  throws(() => placeCmdline(memory, image, "a".repeat(65536), Infinity), /takes 65535/);
  throws(() => placeCmdline(ramOf(0x2_0000), image, "", 100), /needs memory/);
});
