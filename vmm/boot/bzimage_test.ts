import { deepEqual, equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { ImageError } from "../../ffi/errors.ts";
import { parseBzImage, setupFieldOffset } from "./bzimage.ts";
import { patterned, sampleBzImage } from "../../tests/sample_images.ts";
import type { SetupField } from "./setup_header.ts";

const code = patterned(0x800);
const parse = (fields: Partial<Record<SetupField, number>> = {}) =>
  parseBzImage({ path: "bzImage", bytes: sampleBzImage(code, fields) });

Deno.test("field offsets are those of boot.rst", () => {
  const offsets: Partial<Record<SetupField, number>> = {
    setup_sects: 0x1f1,
    boot_flag: 0x1fe,
    header: 0x202,
    loadflags: 0x211,
    code32_start: 0x214,
    heap_end_ptr: 0x224,
    cmd_line_ptr: 0x228,
    relocatable_kernel: 0x234,
    xloadflags: 0x236,
    payload_offset: 0x248,
    pref_address: 0x258,
    init_size: 0x260,
    kernel_info_offset: 0x268,
  };
  for (const [field, offset] of Object.entries(offsets)) {
    equal(setupFieldOffset(field as SetupField), offset);
  }
});

Deno.test("setup code, kernel and payload are the file's parts", () => {
  const { setup, code: kernel, payload, entry, loadAddress, loadSize } = parse({
    payload_offset: 0x10,
    payload_length: 0x20,
  });
  equal(setup.length, 3 * 512);
  deepEqual(kernel, code);
  deepEqual(payload, code.subarray(0x10, 0x30));
  deepEqual([entry, loadAddress, loadSize], ["long", 0x20_0000, 0x10_0000]);
});

Deno.test("setup_sects of 0 means 4", () => {
  const bytes = sampleBzImage(patterned(0x2000), { setup_sects: 0, syssize: 0 });
  equal(parseBzImage({ path: "k", bytes }).setup.length, 5 * 512);
});

Deno.test("the entry point follows from the header", () => {
  equal(parse({ xloadflags: 0 }).entry, "protected");
  equal(parse({ version: 0x20b }).entry, "protected");
  equal(parse({ code32_start: 0 }).entry, "real");
  equal(parse({ loadflags: 0 }).entry, "real");
  equal(parse({ version: 0x209 }).loadAddress, 0x10_0000);
});

Deno.test("fields newer than the protocol version are not read", () => {
  const old = parse({ version: 0x207, payload_offset: 0x2e30_2e31, payload_length: 0x6967 });
  equal(old.payload, undefined);
  equal(old.header.pref_address, 0);
  equal(old.header.cmdline_size, 2047);
  equal(parse({ version: 0x205 }).header.cmdline_size, 0);
  equal(parse({ version: 0x200 }).header.initrd_addr_max, 0);
});

Deno.test("fields that lie are named with their offset", () => {
  const cases: [Partial<Record<SetupField, number>>, RegExp][] = [
    [{ setup_sects: 64 }, /setup_sects \(byte 0x1f1\) asks for 33280 bytes/],
    [{ payload_length: 0x801 }, /payload_length \(byte 0x24c\) asks for 2049 bytes at 0x600/],
    [{ payload_length: 1, payload_offset: 0xffff_ffff }, /payload_length \(byte 0x24c\)/],
    [{ syssize: 0x81 }, /syssize \(byte 0x1f4\) says that 2064 bytes follow/],
    [{ version: 0x105 }, /version \(byte 0x206\) is 0x105/],
    [{ boot_flag: 0 }, /header \(byte 0x202\) is not "HdrS"/],
  ];
  for (const [fields, message] of cases) {
    throws(() => parse(fields), { name: "ImageError", message });
  }
  // A last paragraph that the file does not fill is no lie: memtest86+ has one.
  equal(parseBzImage({ path: "k", bytes: sampleBzImage(code.subarray(8)) }).entry, "long");
});

Deno.test("any change to the header, and any cut, gives parts or an ImageError", () => {
  const bytes = sampleBzImage(code, { payload_offset: 0x10, payload_length: 0x20 });
  const change = fc.record({
    at: fc.integer({ min: 0x1f1, max: 0x268 }),
    value: fc.integer({ min: 0, max: 0xffff_ffff }),
    length: fc.oneof(fc.constant(bytes.length), fc.nat(bytes.length)),
  });
  fc.assert(fc.property(change, ({ at, value, length }) => {
    const mutant = bytes.slice();
    new DataView(mutant.buffer).setUint32(at, value, true);
    try {
      parseBzImage({ path: "bzImage", bytes: mutant.subarray(0, length) });
    } catch (error) {
      if (!(error instanceof ImageError) || !error.message.startsWith("bzImage: ")) throw error;
    }
  }));
});
