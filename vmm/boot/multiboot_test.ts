import { deepEqual, equal, rejects } from "node:assert/strict";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { ImageError } from "../../ffi/errors.ts";
import { loadMultiboot } from "./multiboot.ts";
import { MultibootHeader } from "./multiboot_header.ts";
import { MultibootInfo, MultibootMmapEntry, MultibootModList } from "./multiboot_info.ts";
import { joined, patterned, ramOf, sampleElf, sampleMultiboot } from "../../tests/sample_images.ts";
import type { GuestMemory } from "../guest_memory.ts";

const MIB = 1 << 20;
const code = patterned(0x80);
const named = (bytes: Uint8Array) => ({ path: "mach", bytes });

function textAt(memory: GuestMemory, address: number): string {
  const bytes = memory.bytes(address, 256);
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}

Deno.test("a kernel with addresses of its own is loaded by them and entered in protected mode", async () => {
  const memory = ramOf(4 * MIB);
  const bytes = joined(new Uint8Array(64), sampleMultiboot(code));
  const state = await loadMultiboot(memory, named(bytes));
  equal(state.mode, "protected");
  equal(state.ip, MIB + MultibootHeader.size);
  equal(state.registers!.rax, 0x2bad_b002);
  deepEqual(memory.read(MIB + MultibootHeader.size, code.length), code);
});

Deno.test("load_addr may lie before the header, load_end_addr of 0 means all of the file", async () => {
  const memory = ramOf(4 * MIB);
  const fields = { header_addr: MIB + 64, load_end_addr: 0, bss_end_addr: 0 };
  const bytes = joined(patterned(64, 9), sampleMultiboot(code, fields));
  await loadMultiboot(memory, named(bytes));
  deepEqual(memory.read(MIB, bytes.length), bytes);
});

for (const bits of [32, 64] as const) {
  Deno.test(`an ELF${bits} is loaded by its segments, plain and in gzip`, async () => {
    const header = sampleMultiboot(code, { flags: 3 });
    const segment = { vaddr: 0x4000_0000n, paddr: MIB, data: header, memsz: 0x3000 };
    const bytes = sampleElf(bits, 0x4000_0000n + 8n, [segment]);
    for (const file of [bytes, new Uint8Array(gzipSync(bytes))]) {
      const memory = ramOf(4 * MIB);
      const state = await loadMultiboot(memory, named(file));
      equal(state.ip, MIB + 8);
      deepEqual(memory.read(MIB, header.length), header);
    }
  });
}

Deno.test("EBX points to memory sizes, map, command lines, modules and our name", async () => {
  const memory = ramOf(4 * MIB);
  const modules = [
    { path: "a.mod", bytes: patterned(0x1001, 2), cmdline: "a one" },
    { path: "empty", bytes: new Uint8Array() },
    { path: "b.mod", bytes: patterned(10, 3) },
  ];
  const state = await loadMultiboot(memory, named(sampleMultiboot(code)), {
    cmdline: "console=com0",
    modules,
  });
  const info = new MultibootInfo(memory.view(state.registers!.rbx!, MultibootInfo.size));
  equal(info.flags, 0b10_0100_1101);
  deepEqual([info.mem_lower, info.mem_upper], [639, 3 * 1024]);
  equal(textAt(memory, info.cmdline), "mach console=com0");
  equal(textAt(memory, info.boot_loader_name), "hvsh");
  equal(info.mods_count, 3);
  modules.forEach((module, i) => {
    const at = info.mods_addr + i * MultibootModList.size;
    const entry = new MultibootModList(memory.view(at, MultibootModList.size));
    equal(entry.mod_start % 0x1000, 0);
    equal(entry.mod_end - entry.mod_start, module.bytes.length);
    if (module.bytes.length > 0) {
      deepEqual(memory.read(entry.mod_start, module.bytes.length), module.bytes);
    }
    equal(textAt(memory, entry.cmdline), ["a one", "empty", "b.mod"][i]);
  });
  equal(info.mmap_length, 3 * 24);
  const entry = new MultibootMmapEntry(memory.view(info.mmap_addr + 2 * 24, 24));
  deepEqual([entry.size, entry.addr, entry.len, entry.type], [20, MIB, 3 * MIB, 1]);
});

Deno.test("fields that lie are named with their offset", async () => {
  const cases: [Parameters<typeof sampleMultiboot>[1], RegExp][] = [
    [{ load_addr: MIB + 4 }, /load_addr \(byte 0x10\) is 0x100004/],
    [{ header_addr: MIB + 4 }, /load_addr \(byte 0x10\)/],
    [{ load_end_addr: 2 * MIB }, /load_end_addr \(byte 0x14\) asks for/],
    [{ load_end_addr: MIB - 1 }, /load_end_addr \(byte 0x14\) asks for -1 bytes/],
    [{ bss_end_addr: 0xffff_ffff }, /load_addr \(byte 0x10\).*would end at 0xffffffff/],
    [{ entry_addr: 0 }, /entry_addr \(byte 0x1c\) is 0x0, outside/],
    [{ flags: 0x1_0008 }, /flags \(byte 0x4\) asks for features 0x8/],
    [{ checksum: 0 }, /no multiboot header/],
  ];
  for (const [fields, message] of cases) {
    const image = named(sampleMultiboot(code, fields));
    await rejects(loadMultiboot(ramOf(4 * MIB), image), { name: "ImageError", message });
  }
});

Deno.test("modules and command lines that don't fit are refused", async () => {
  const image = named(sampleMultiboot(code));
  const big = { path: "big.mod", bytes: new Uint8Array(MIB) };
  await rejects(loadMultiboot(ramOf(2 * MIB), image, { modules: [big] }), {
    message: /^big.mod: the module needs memory/,
    hint: "hvsh create -m 3M",
  });
  const cmdline = "a".repeat(0x1_0000);
  await rejects(loadMultiboot(ramOf(4 * MIB), image, { cmdline }), /need more than 65536 bytes/);
  await rejects(loadMultiboot(ramOf(4 * MIB), image, { cmdline: "\0" }), /zero byte inside/);
});

Deno.test("any change to the header gives a start or an ImageError", async () => {
  const bytes = sampleMultiboot(code);
  const memory = ramOf(2 * MIB);
  const change = fc.record({
    at: fc.integer({ min: 3, max: 7 }),
    value: fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.constantFrom(0, MIB, 0xffff_ffff)),
  });
  await fc.assert(fc.asyncProperty(fc.array(change, { maxLength: 4 }), async (changes) => {
    const mutant = bytes.slice();
    for (const { at, value } of changes) {
      new DataView(mutant.buffer).setUint32(at * 4, value, true);
    }
    try {
      await loadMultiboot(memory, named(mutant));
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
    }
  }));
});
