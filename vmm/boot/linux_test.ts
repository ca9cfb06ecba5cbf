import { deepEqual, equal, rejects } from "node:assert/strict";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { ImageError } from "../../ffi/errors.ts";
import { Address } from "../board.ts";
import type { GuestMemory } from "../guest_memory.ts";
import { BootParams } from "./boot_params.ts";
import { type LinuxOptions, loadLinux } from "./linux.ts";
import {
  joined,
  patterned,
  ramOf,
  sampleBzImage,
  sampleElf,
  type SampleNote,
} from "../../tests/sample_images.ts";
import type { SetupField } from "./setup_header.ts";

const MIB = 1 << 20;
const text = patterned(0x900);
const segment = { vaddr: 0xffff_ffff_8110_0000n, paddr: MIB, data: text };
const vmlinux = sampleElf(64, BigInt(MIB), [segment]);
const linuxNote: SampleNote = { name: "Linux", type: 0x100, desc: patterned(4) };
const pvhNote: SampleNote = {
  name: "Xen",
  type: 18,
  desc: Uint8Array.of(0x10, 0, 0x10, 0),
};
const initrd = { path: "initrd", bytes: patterned(5000, 3) };

const named = (bytes: Uint8Array) => ({ path: "vmlinuz", bytes });
const bootParams = (memory: GuestMemory) =>
  new BootParams(memory.view(Address.LOADER, BootParams.size));

/** A bzImage whose code is a packed kernel behind 16 bytes of its own. */
function packedKernel(elf: Uint8Array, fields: Partial<Record<SetupField, number>> = {}) {
  const payload = new Uint8Array(gzipSync(elf));
  return named(sampleBzImage(joined(new Uint8Array(16), payload), {
    payload_offset: 16,
    payload_length: payload.length,
    ...fields,
  }));
}

Deno.test("a bzImage's kernel is unpacked and entered where its ELF says, in long mode", async () => {
  const memory = ramOf(4 * MIB);
  const options: LinuxOptions = { initrd, cmdline: "console=ttyS0", acpiRsdp: Address.BIOS };
  const state = await loadLinux(memory, packedKernel(vmlinux), options);
  equal(state.mode, "long");
  equal(state.ip, MIB);
  deepEqual(state.registers, { rsi: Address.LOADER });
  deepEqual(memory.read(MIB, text.length), text);
  const { hdr, acpi_rsdp_addr, e820_entries } = bootParams(memory);
  equal(acpi_rsdp_addr, Address.BIOS);
  equal(e820_entries, 3);
  equal(hdr.type_of_loader, 0xff);
  equal(hdr.version, 0x20f);
  equal(hdr.ramdisk_size, 5000);
  deepEqual(memory.read(hdr.ramdisk_image, 5000), initrd.bytes);
  const cmdline = memory.read(hdr.cmd_line_ptr, 14);
  equal(new TextDecoder().decode(cmdline), "console=ttyS0\0");
});

Deno.test("a 32-bit kernel's ELF is entered in protected mode", async () => {
  const elf = sampleElf(32, BigInt(MIB), [{ ...segment, vaddr: 0xc010_0000n }]);
  const state = await loadLinux(ramOf(2 * MIB), packedKernel(elf), {});
  equal(state.mode, "protected");
  deepEqual(state.registers, { rsi: Address.LOADER });
});

Deno.test("unpack: false starts the kernel's own code at its widest entry", async () => {
  const memory = ramOf(4 * MIB);
  const image = packedKernel(vmlinux);
  const long = await loadLinux(memory, image, { unpack: false });
  deepEqual([long.mode, long.ip], ["long", 2 * MIB + 0x200]);
  deepEqual(memory.read(2 * MIB, 0x40), image.bytes.slice(1536, 1536 + 0x40));
  equal(bootParams(memory).hdr.code32_start, 2 * MIB);
  const old = packedKernel(vmlinux, { xloadflags: 0 });
  const narrow = await loadLinux(memory, old, { unpack: false });
  deepEqual([narrow.mode, narrow.ip], ["protected", 2 * MIB]);
});

Deno.test("a kernel without a payload that we know starts by its own code", async () => {
  for (const code of [patterned(0x400), joined(Uint8Array.of(0x89, 0x4c, 0x5a, 0x4f), text)]) {
    const image = named(sampleBzImage(code, { payload_length: 0x100 }));
    const state = await loadLinux(ramOf(4 * MIB), image, {});
    equal(state.ip, 2 * MIB + 0x200);
  }
});

Deno.test("an ELF goes in by Linux's entry if it is Linux, else by PVH if it has that", async () => {
  const start = (notes: SampleNote[], entry?: "linux" | "pvh") =>
    loadLinux(
      ramOf(4 * MIB),
      named(sampleElf(64, BigInt(MIB), [segment], notes)),
      entry === undefined ? {} : { entry },
    );
  equal((await start([])).mode, "long");
  equal((await start([linuxNote, pvhNote])).mode, "long");
  equal((await start([pvhNote], "linux")).mode, "long");
  for (const state of [await start([pvhNote]), await start([linuxNote, pvhNote], "pvh")]) {
    deepEqual([state.mode, state.ip], ["protected", MIB + 16]);
  }
  await rejects(start([linuxNote], "pvh"), /no PVH entry point/);
  const packed = packedKernel(sampleElf(64, BigInt(MIB), [segment], [pvhNote]));
  equal((await loadLinux(ramOf(4 * MIB), packed, { entry: "pvh" })).mode, "protected");
  await rejects(loadLinux(ramOf(4 * MIB), packed, { entry: "pvh", unpack: false }), /PVH needs/);
});

Deno.test("initial RAM disks keep below the kernel's limit and off the kernel", async () => {
  const memory = ramOf(8 * MIB);
  await loadLinux(memory, packedKernel(vmlinux, { initrd_addr_max: 4 * MIB - 1 }), { initrd });
  equal(bootParams(memory).hdr.ramdisk_image, 4 * MIB - 0x2000);
  await loadLinux(memory, packedKernel(vmlinux, { initrd_addr_max: 4 * MIB - 1 }), {});
  equal(bootParams(memory).hdr.ramdisk_size, 0);
  const big = { path: "initrd", bytes: new Uint8Array(MIB) };
  await rejects(loadLinux(ramOf(2 * MIB), packedKernel(vmlinux), { initrd: big }), {
    message: /^initrd: the initial RAM disk needs memory/,
    hint: "hvsh create -m 3M",
  });
});

Deno.test("a command line longer than the kernel's is refused", async () => {
  const image = packedKernel(vmlinux, { cmdline_size: 4 });
  await rejects(loadLinux(ramOf(4 * MIB), image, { cmdline: "quiet" }), /takes 4/);
  await rejects(
    loadLinux(ramOf(4 * MIB), named(vmlinux), { cmdline: "a".repeat(2048) }),
    /takes 2047/,
  );
});

Deno.test("too little memory is told before anything is unpacked or copied", async () => {
  const high = sampleElf(64, BigInt(16 * MIB), [{ ...segment, paddr: 16 * MIB, memsz: 40 * MIB }]);
  await rejects(loadLinux(ramOf(4 * MIB), packedKernel(high)), {
    name: "ImageError",
    hint: "hvsh create -m 56M",
  });
  await rejects(loadLinux(ramOf(2 * MIB), packedKernel(vmlinux), { unpack: false }), {
    message: /pref_address \(byte 0x258\)/,
    hint: "hvsh create -m 3M",
  });
});

Deno.test("a payload that lies about its size or is damaged is an ImageError with its place", async () => {
  const lying = packedKernel(vmlinux);
  new DataView(lying.bytes.buffer).setUint32(lying.bytes.length - 4, 0x7fff_ffff, true);
  await rejects(loadLinux(ramOf(4 * MIB), lying), { name: "ImageError" });
  new DataView(lying.bytes.buffer).setUint32(lying.bytes.length - 4, 100, true);
  await rejects(loadLinux(ramOf(4 * MIB), lying), /vmlinuz: payload at byte 0x610/);
  await rejects(
    loadLinux(ramOf(4 * MIB), packedKernel(vmlinux, { payload_length: 4 })),
    /payload_length \(byte 0x24c\) is 4/,
  );
  await rejects(loadLinux(ramOf(4 * MIB), packedKernel(patterned(100))), /\(unpacked\): e_ident/);
});

Deno.test("any change to a bzImage gives a start or an ImageError", async () => {
  const image = packedKernel(vmlinux);
  const change = fc.record({
    at: fc.oneof(fc.integer({ min: 0x1f1, max: 0x268 }), fc.nat(image.bytes.length - 4)),
    value: fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.constantFrom(0, 1, 0xffff_ffff)),
  });
  const options = fc.record({
    unpack: fc.boolean(),
    cmdline: fc.constantFrom("", "quiet"),
  });
  const memory = ramOf(4 * MIB);
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 3 }), options, async (changes, how) => {
      const bytes = image.bytes.slice();
      for (const { at, value } of changes) new DataView(bytes.buffer).setUint32(at, value, true);
      try {
        await loadLinux(memory, named(bytes), { ...how, initrd });
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
      }
    }),
  );
});
