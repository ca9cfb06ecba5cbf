import assert from "node:assert/strict";
import fc from "fast-check";
import {
  buffer,
  eisaId,
  integer,
  name,
  nameString,
  packageOf,
  string,
  withPkgLength,
} from "./aml.ts";
import { busNumbers, io, irq, memoryWindow, resourceTemplate } from "./aml_resources.ts";

function hex(bytes: Uint8Array): string {
  return bytes.toHex();
}

Deno.test("integers take their shortest encoding", () => {
  assert.equal(hex(integer(0)), "00");
  assert.equal(hex(integer(1)), "01");
  assert.equal(hex(integer(0xff)), "0aff");
  assert.equal(hex(integer(0x1234)), "0b3412");
  assert.equal(hex(integer(0x1234_5678)), "0c78563412");
  assert.equal(hex(integer(0x1_0000_0000)), "0e0000000001000000");
});

Deno.test("names are padded segments with the prefix of their count", () => {
  assert.equal(hex(nameString("_S5")), hex(new TextEncoder().encode("_S5_")));
  assert.equal(hex(nameString("\\_SB")), "5c" + hex(new TextEncoder().encode("_SB_")));
  assert.equal(hex(nameString("^A.B")), "5e2e" + hex(new TextEncoder().encode("A___B___")));
  assert.equal(hex(nameString("A.B.C")), "2f03" + hex(new TextEncoder().encode("A___B___C___")));
  assert.equal(hex(nameString("\\")), "5c00");
});

Deno.test("a name that AML can't write is refused", () => {
  for (const path of ["abc", "TOOLONG", "1ST", "A..B"]) {
    assert.throws(() => nameString(path), RangeError);
  }
});

Deno.test("EISA identifiers are compressed as the specification's example has it", () => {
  assert.equal(hex(eisaId("PNP0501")), "0c41d00501");
  assert.throws(() => eisaId("QEMU0001"), RangeError);
});

Deno.test("a PkgLength counts itself, at every size", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0x12_0000 }), (length) => {
      const encoded = withPkgLength(new Uint8Array(length));
      const lead = encoded[0]!;
      const extra = lead >> 6;
      let value = extra === 0 ? lead : lead & 0x0f;
      for (let i = 0; i < extra; i++) value += encoded[1 + i]! * 2 ** (4 + 8 * i);
      assert.equal(value, encoded.length);
      assert.equal(encoded.length, length + 1 + extra);
    }),
    { numRuns: 50, examples: [[62], [63], [0xffd], [0xffe], [0xf_fffc], [0xf_fffd]] },
  );
});

Deno.test("packages, buffers and strings carry their counts", () => {
  assert.equal(hex(packageOf(integer(5), integer(0))), "1205020a0500");
  assert.equal(hex(buffer(Uint8Array.of(7))), "11030107");
  assert.equal(hex(string("A")), "0d4100");
  assert.equal(hex(name("X", string("A"))), "08585f5f5f0d4100");
});

Deno.test("descriptors have the tags and lengths of the specification", () => {
  assert.equal(hex(io(0x3f8, 8)), "4701f803f8030108");
  assert.equal(hex(irq(4)), "221000");
  assert.equal(hex(busNumbers(256)), "880d00020c00" + "0000" + "0000" + "ff00" + "0000" + "0001");
  assert.equal(memoryWindow(0xc000_0000, 0x4000_0000)[0], 0x87);
  const high = memoryWindow(0x1_0000_0000, 0x1000);
  assert.equal(high[0], 0x8a);
  assert.equal(high.length, 46);
  assert.equal(hex(resourceTemplate(irq(4))), "11080a05" + "221000" + "7900");
});
