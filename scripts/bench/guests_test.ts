import assert from "node:assert/strict";
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from "iced-x86";
import { AT_BOOT_SECTOR, firmware, IN_FIRMWARE, memoryWrites, portWrites, tiny } from "./guests.ts";

/** The instructions up to the first HLT, as text. */
function disassemble(bytes: Uint8Array): string[] {
  const decoder = new Decoder(16, bytes, DecoderOptions.None);
  const formatter = new Formatter(FormatterSyntax.Nasm);
  const lines: string[] = [];
  while (decoder.canDecode && lines.at(-1) !== "hlt") {
    lines.push(formatter.format(decoder.decode()));
  }
  formatter.free();
  decoder.free();
  return lines;
}

Deno.test("the tiny guest has 13 bytes: it prints A and ends", () => {
  assert.equal(tiny.length, 13);
  assert.deepEqual(disassemble(tiny), [
    "mov dx,3F8h",
    "mov al,41h",
    "out dx,al",
    "mov al,0FEh",
    "out 64h,al",
    "out 0F4h,al",
    "hlt",
  ]);
});

Deno.test("a guest that writes to a port does nothing else between its marks", () => {
  const lines = disassemble(portWrites(2000, AT_BOOT_SECTOR));
  const [begin, end] = [lines.indexOf("mov al,2"), lines.indexOf("mov al,3")];
  assert.deepEqual(lines.slice(begin - 1, end + 2), [
    "mov dx,5E0h",
    "mov al,2",
    "out dx,al",
    "mov dx,5F0h",
    "mov ecx,7D0h",
    "out dx,al",
    "dec ecx",
    "jne short 001Fh",
    "mov dx,5E0h",
    "mov al,3",
    "out dx,al",
  ]);
});

Deno.test("for a VMM without a mark port the marks go out of the serial port", () => {
  const ports = disassemble(portWrites(1, IN_FIRMWARE)).filter((line) => line.startsWith("mov dx"));
  assert.deepEqual(ports, ["mov dx,5F0h", "mov dx,3F8h", "mov dx,5F0h", "mov dx,3F8h"]);
});

Deno.test("a guest that writes to memory finds its descriptors, wherever it is put", () => {
  const placement = { offset: 0x7c00, address: 0x1_7c00, markPort: 1 };
  const guest = memoryWrites(5, placement);
  const [, load] = disassemble(guest);
  const gdtr = parseInt(/^o32 lgdt \[cs:([0-9A-F]+)h\]$/.exec(load!)![1]!, 16) - placement.offset;
  const view = new DataView(guest.buffer);
  assert.equal(view.getUint16(gdtr, true), 15);
  const gdt = view.getUint32(gdtr + 2, true) - placement.address;
  assert.equal(view.getBigUint64(gdt, true), 0n);
  assert.equal(view.getBigUint64(gdt + 8, true), 0x00cf_9300_0000_ffffn);
  assert.ok(disassemble(guest).includes("mov [edi],al"));
});

Deno.test("firmware jumps from the reset vector to the guest at its begin", () => {
  const guest = memoryWrites(1, IN_FIRMWARE);
  const image = firmware(guest);
  assert.equal(image.length, 0x1_0000);
  assert.deepEqual(image.subarray(0, guest.length), guest);
  const jump = new DataView(image.buffer, 0xfff0);
  assert.equal(jump.getUint8(0), 0xe9);
  assert.equal((0xfff0 + 3 + jump.getUint16(1, true)) & 0xffff, 0);
});
