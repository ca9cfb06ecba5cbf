import { deepEqual, equal, throws } from "node:assert/strict";
import { parseBzImage } from "./bzimage.ts";
import { loadRealMode } from "./linux16.ts";
import { patterned, ramOf, sampleBzImage } from "../../tests/sample_images.ts";
import { SETUP_HEADER_OFFSET, type SetupField, SetupHeader } from "./setup_header.ts";

const MIB = 1 << 20;
const code = patterned(0x700);
const initrd = { path: "initrd", bytes: patterned(100, 2) };

function load(fields: Partial<Record<SetupField, number>>, memoryBytes = 2 * MIB, cmdline = "hi") {
  const image = { path: "ipxe.lkrn", bytes: sampleBzImage(code, fields) };
  const memory = ramOf(memoryBytes);
  const state = loadRealMode(memory, image, parseBzImage(image), { cmdline, initrd });
  const base = state.ds! * 16;
  const header = new SetupHeader(memory.view(base + SETUP_HEADER_OFFSET, SetupHeader.size));
  return { memory, state, base, header };
}

Deno.test("a kernel that loads high gets its setup code at 0x10000 and its rest at 1 MiB", () => {
  const { memory, state, base, header } = load({ version: 0x207, code32_start: 0 });
  equal(base, 0x1_0000);
  deepEqual([state.mode, state.registers], ["real", { rsp: 0xe000 }]);
  deepEqual(memory.read(MIB, code.length), code);
  equal(header.type_of_loader, 0xff);
  equal(header.loadflags, 0x81);
  equal(header.heap_end_ptr, 0xe000 - 0x200);
  equal(header.ramdisk_size, 100);
  deepEqual(memory.read(header.ramdisk_image, 100), initrd.bytes);
  deepEqual([...memory.read(header.cmd_line_ptr, 3)], [0x68, 0x69, 0]);
});

Deno.test("the vCPU begins in the BIOS, whose last jump goes to the setup code", () => {
  const { memory, state } = load({ version: 0x207 });
  const start = state.cs! * 16 + state.ip;
  const jump = memory.read(start, 0x40).indexOf(0xea);
  deepEqual([...memory.read(start + jump + 1, 4)], [0, 0, 0x20, 0x10]);
});

Deno.test("a zImage goes to 0x90000 and 0x10000, an old one with the old command line", () => {
  const { memory, state, base, header } = load({ version: 0x201, loadflags: 0 });
  equal(base, 0x9_0000);
  deepEqual(state.registers, { rsp: 0x9800 });
  deepEqual(memory.read(0x1_0000, code.length), code);
  const boot = memory.view(base, 0x24);
  equal(boot.getUint16(0x20, true), 0xa33f);
  const at = boot.getUint16(0x22, true);
  deepEqual([...memory.read(base + at, 3)], [0x68, 0x69, 0]);
  equal(header.setup_move_size, at + 3);
});

Deno.test("what follows an old version's fields in the image stays as it is", () => {
  const { header } = load({ version: 0x200, loadflags: 1, cmd_line_ptr: 0x1234_5678 });
  equal(header.cmd_line_ptr, 0x1234_5678);
  equal(header.payload_length, 0);
});

Deno.test("kernels that don't fit are told so", () => {
  const fields = { version: 0x207 };
  throws(() => load(fields, MIB), { name: "ImageError", hint: "hvsh create -m 2M" });
  throws(() => load({ version: 0x201, loadflags: 0 }, 2 * MIB, "a".repeat(256)), /takes 255/);
  const long = {
    path: "k",
    bytes: sampleBzImage(patterned(0x1_0000), { setup_sects: 127, syssize: 0 }),
  };
  throws(
    () => loadRealMode(ramOf(2 * MIB), long, parseBzImage(long)),
    /setup_sects \(byte 0x1f1\) is 127/,
  );
  const fat = { path: "k", bytes: sampleBzImage(patterned(0x8_0001), { loadflags: 0 }) };
  throws(() => loadRealMode(ramOf(2 * MIB), fat, parseBzImage(fat)), /too many for a zImage/);
});
