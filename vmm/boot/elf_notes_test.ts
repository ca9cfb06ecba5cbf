import { deepEqual, equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { ImageError } from "../../ffi/errors.ts";
import { parseElf } from "./elf.ts";
import { isLinux, parseNotes, pvhEntry } from "./elf_notes.ts";
import { patterned, sampleElf } from "../../tests/sample_images.ts";

const segment = { vaddr: 0n, paddr: 0x10_0000, data: patterned(16) };
const image = { path: "vmlinux", bytes: new Uint8Array() };
const pvh = (bytes: number) => ({
  name: "Xen",
  type: 18,
  desc: Uint8Array.from({ length: bytes }, (_, i) => i + 1),
});

Deno.test("notes come with owner, type and description, padding skipped", () => {
  const notes = [{ name: "Linux", type: 0x100, desc: patterned(5) }, pvh(8)];
  const { notes: parsed } = parseElf({ path: "k", bytes: sampleElf(64, 0n, [segment], notes) });
  deepEqual(
    parsed.map(({ name, type, desc }) => [name, type, [...desc]]),
    notes.map(({ name, type, desc }) => [name, type, [...desc]]),
  );
});

Deno.test("the PVH entry is a word of 4 or 8 bytes; a shorter one doesn't count", () => {
  equal(pvhEntry([pvh(4)]), 0x0403_0201);
  equal(pvhEntry([pvh(8)]), 0x0403_0201);
  equal(pvhEntry([pvh(3)]), undefined);
  equal(pvhEntry([{ ...pvh(4), name: "GNU" }]), undefined);
});

Deno.test("Linux is known by its own notes or by what it tells Xen", () => {
  const desc = new TextEncoder().encode("linux\0");
  equal(isLinux([{ name: "Linux", type: 0x100, desc }]), true);
  equal(isLinux([{ name: "Xen", type: 6, desc }]), true);
  equal(isLinux([{ name: "Xen", type: 6, desc: new TextEncoder().encode("FreeBSD\0") }]), false);
});

Deno.test("notes that run out of their segment, or go on for ever, are ImageErrors", () => {
  const lie = new Uint8Array(Uint32Array.of(4, 0xffff_fff0, 1, 0x6e6558).buffer);
  throws(() => parseNotes(image, [{ at: 64, data: lie, align: 4 }]), /n_descsz \(byte 0x40\)/);
  const huge = new Uint8Array((1 << 20) + 1);
  throws(() => parseNotes(image, [{ at: 64, data: huge, align: 4 }]), /bytes of notes/);
});

Deno.test("any bytes are notes or an ImageError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(4, 8), (data, align) => {
    try {
      parseNotes(image, [{ at: 0, data, align }]);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
    }
  }));
});
