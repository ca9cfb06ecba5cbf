import { deepEqual, equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { ImageError } from "../../ffi/errors.ts";
import { loadElf, parseElf, physicalEntry } from "./elf.ts";
import { patterned, ramOf, sampleElf } from "../../tests/sample_images.ts";

const MIB = 1 << 20;
const text = { vaddr: 0xffff_ffff_8110_0000n, paddr: MIB, data: patterned(300), memsz: 0x1000 };
const data = { vaddr: 0xffff_ffff_8110_2000n, paddr: MIB + 0x2000, data: patterned(50, 2) };
const named = (bytes: Uint8Array) => ({ path: "vmlinux", bytes });
const kernel64 = sampleElf(64, BigInt(MIB), [data, text]);
const kernel32 = sampleElf(32, BigInt(MIB), [
  { ...text, vaddr: 0xc010_0000n },
  { ...data, vaddr: 0xc010_2000n },
]);

for (const [bits, bytes] of [[64, kernel64], [32, kernel32]] as const) {
  Deno.test(`ELF${bits}: segments go to their physical addresses`, () => {
    const image = named(bytes);
    const memory = ramOf(2 * MIB);
    const elf = parseElf(image);
    equal(elf.bits, bits);
    deepEqual(loadElf(memory, image, elf), { start: MIB, end: MIB + 0x2000 + 50 });
    deepEqual(memory.read(MIB, 300), text.data);
    deepEqual(memory.read(MIB + 0x2000, 50), data.data);
  });

  Deno.test(`ELF${bits}: any change to its headers gives segments or an ImageError`, () => {
    const headers = bits === 64 ? 64 + 2 * 56 : 52 + 2 * 32;
    const change = fc.record({
      at: fc.nat(headers - 4),
      value: fc.oneof(
        fc.integer({ min: 0, max: 0xffff_ffff }),
        fc.constantFrom(0, 1, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, bytes.length),
      ),
    });
    fc.assert(fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      const mutant = bytes.slice();
      for (const { at, value } of changes) {
        new DataView(mutant.buffer).setUint32(at, value, true);
      }
      const image = named(mutant);
      try {
        const elf = parseElf(image);
        loadElf(ramOf(2 * MIB), image, elf);
        physicalEntry(image, elf, "physical");
      } catch (error) {
        if (!(error instanceof ImageError) || !error.message.startsWith("vmlinux: ")) throw error;
      }
    }));
  });

  Deno.test(`ELF${bits}: a file cut off anywhere is an ImageError`, () => {
    for (let length = 0; length < bytes.length; length += 3) {
      throws(() => parseElf(named(bytes.subarray(0, length))), ImageError);
    }
  });
}

Deno.test("bss is cleared when asked, and left to fresh memory when not", () => {
  const image = named(kernel64);
  const memory = ramOf(2 * MIB);
  memory.bytes(MIB, 0x2000).fill(0xaa);
  loadElf(memory, image, parseElf(image), {});
  equal(memory.bytes(MIB + 300, 1)[0], 0xaa);
  loadElf(memory, image, parseElf(image), { clearBss: true });
  deepEqual([...memory.bytes(MIB + 0x1000 - 1, 2)], [0, 0xaa]);
  equal(memory.bytes(MIB + 300, 0xd00).every((byte) => byte === 0), true);
});

Deno.test("each field that lies is named with its offset", () => {
  const cases: [at: number, value: number, message: RegExp][] = [
    [4, 3, /EI_CLASS \(byte 0x4\) is 3/],
    [5, 2, /EI_DATA \(byte 0x5\) is 2/],
    [18, 183, /e_machine \(byte 0x12\) is 183/],
    [35, 0x10, /e_phoff \(byte 0x20\) asks for/],
    [54, 8, /e_phentsize \(byte 0x36\) is 8/],
    [57, 0x20, /e_phoff/],
    [64 + 8 + 4, 1, /p_filesz of program header 0 \(byte 0x60\) asks for/],
    [64 + 32 + 2, 1, /p_filesz of program header 0/],
    [64 + 40, 1, /p_memsz of program header 0 \(byte 0x68\) is 1, less than the 50 bytes/],
  ];
  for (const [at, value, message] of cases) {
    const mutant = kernel64.slice();
    mutant[at] = value;
    throws(() => parseElf(named(mutant)), { name: "ImageError", message });
  }
});

Deno.test("segments on one address are refused, so that no file makes us copy for ever", () => {
  const bytes = sampleElf(64, 0n, [text, { ...data, paddr: MIB + 0xfff }]);
  throws(() => parseElf(named(bytes)), /p_paddr \(byte 0x90\) is 0x100fff, inside the segment/);
});

Deno.test("a kernel too big for memory says how much it needs", () => {
  const image = named(kernel64);
  throws(() => loadElf(ramOf(MIB), image, parseElf(image)), { hint: "hvsh create -m 2M" });
  const huge = named(sampleElf(64, 0n, [{ ...text, memsz: 2 ** 50 }]));
  throws(() => loadElf(ramOf(MIB), huge, parseElf(huge)), ImageError);
  const none = named(sampleElf(64, 0n, []));
  throws(() => loadElf(ramOf(MIB), none, parseElf(none)), /e_phnum.*counts no segment/);
});

Deno.test("an entry point may be physical or virtual, and must be in a segment", () => {
  const of = (entry: bigint) => named(sampleElf(64, entry, [text, data]));
  const entryOf = (entry: bigint, reading: "physical" | "virtual") =>
    physicalEntry(of(entry), parseElf(of(entry)), reading);
  equal(entryOf(BigInt(MIB) + 4n, "physical"), MIB + 4);
  equal(entryOf(BigInt(MIB) + 4n, "virtual"), MIB + 4);
  equal(entryOf(text.vaddr + 8n, "physical"), MIB + 8);
  throws(() => entryOf(0n, "physical"), /e_entry \(byte 0x18\) is 0x0, in none/);
  const both = named(sampleElf(64, BigInt(MIB), [text, { ...data, vaddr: BigInt(MIB) }]));
  equal(physicalEntry(both, parseElf(both), "physical"), MIB);
  equal(physicalEntry(both, parseElf(both), "virtual"), MIB + 0x2000);
});
