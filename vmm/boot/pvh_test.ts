import { deepEqual, equal, throws } from "node:assert/strict";
import { parseElf } from "./elf.ts";
import { HvmMemmapTableEntry, HvmModlistEntry, HvmStartInfo, loadPvh } from "./pvh.ts";
import { patterned, ramOf, sampleElf } from "../../tests/sample_images.ts";

const MIB = 1 << 20;
const segment = { vaddr: 0n, paddr: MIB, data: patterned(0x100) };
const image = { path: "vmlinux", bytes: sampleElf(32, BigInt(MIB), [segment]) };
const elf = parseElf(image);

Deno.test("sizes and offsets are those of start_info.h", () => {
  deepEqual([HvmStartInfo.size, HvmModlistEntry.size, HvmMemmapTableEntry.size], [56, 32, 24]);
  equal(HvmStartInfo.offsets.memmap_paddr, 40);
});

Deno.test("EBX points to start info that names command line, module, RSDP and memory", () => {
  const memory = ramOf(4 * MIB);
  memory.bytes(0x1_0000, 0x1_0000).fill(0xff);
  const initrd = { path: "initrd", bytes: patterned(0x1001, 2) };
  const options = { initrd, cmdline: "quiet", acpiRsdp: 0xe_0000 };
  const state = loadPvh(memory, image, elf, MIB + 4, options);
  deepEqual([state.mode, state.ip], ["protected", MIB + 4]);
  const info = new HvmStartInfo(memory.view(state.registers!.rbx!, HvmStartInfo.size));
  deepEqual([info.magic, info.version, info.flags], [0x336e_c578, 1, 0]);
  equal(info.rsdp_paddr, 0xe_0000);
  equal(new TextDecoder().decode(memory.read(info.cmdline_paddr, 6)), "quiet\0");
  equal(info.nr_modules, 1);
  const module = new HvmModlistEntry(memory.view(info.modlist_paddr, HvmModlistEntry.size));
  deepEqual(memory.read(module.paddr, module.size), initrd.bytes);
  equal(module.cmdline_paddr, 0);
  equal(info.memmap_entries, 3);
  const last = new HvmMemmapTableEntry(memory.view(info.memmap_paddr + 2 * 24, 24));
  deepEqual([last.addr, last.size, last.type, last.reserved], [MIB, 3 * MIB, 1, 0]);
});

Deno.test("an entry point outside the kernel is refused", () => {
  throws(() => loadPvh(ramOf(4 * MIB), image, elf, MIB + 0x100), /XEN_ELFNOTE_PHYS32_ENTRY is/);
});
