import assert from "node:assert/strict";
import fc from "fast-check";
import {
  BLOCK,
  padding,
  parseTarHeader,
  TarError,
  type TarHeader,
  TarHeaderWriter,
} from "./tar_header.ts";

const SECONDS = 1_800_000_000;

/** A header as it is written. */
function written(name: string, size: number, crc: number): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(BLOCK);
  new TarHeaderWriter(SECONDS).write(block, name, size, crc);
  return block;
}

const names = fc.stringMatching(/^[a-z0-9][A-Za-z0-9._/-]{0,99}$/);
const sizes = fc.integer({ min: 0, max: 2 ** 33 - 1 });
const crcs = fc.integer({ min: 0, max: 0xffff_ffff });

Deno.test("a header says what was written, one after the other in the same block", () => {
  const writer = new TarHeaderWriter(SECONDS);
  const block = new Uint8Array(BLOCK);
  fc.assert(fc.property(names, sizes, crcs, (name, size, crc) => {
    writer.write(block, name, size, crc);
    assert.deepEqual(parseTarHeader(block), { name, size, crc, file: true } satisfies TarHeader);
  }));
});

Deno.test("a header of which any bit has changed is refused", () => {
  for (const [name, size] of [["mem/ram0/0x0000010000", 65536], ["vm.json", 0]] as const) {
    const block = written(name, size, 0x89ab_cdef);
    for (let bit = 0; bit < 8 * BLOCK; bit++) {
      block[bit >> 3]! ^= 1 << (bit & 7);
      assert.throws(() => parseTarHeader(block), TarError, `bit ${bit} of ${name}`);
      block[bit >> 3]! ^= 1 << (bit & 7);
    }
    assert.equal(parseTarHeader(block)!.name, name);
  }
});

Deno.test("any block at all is a header, the end or refused", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: BLOCK, maxLength: BLOCK }), (block) => {
    try {
      const header = parseTarHeader(block);
      if (header === undefined) assert.ok(block.every((byte) => byte === 0));
    } catch (error) {
      assert.ok(error instanceof TarError);
    }
  }));
  assert.equal(parseTarHeader(new Uint8Array(BLOCK)), undefined);
});

Deno.test("a name that is too long for tar is refused, and so is a size", () => {
  const block = new Uint8Array(BLOCK);
  const writer = new TarHeaderWriter(SECONDS);
  assert.throws(() => writer.write(block, "a".repeat(101), 0, 0), RangeError);
  assert.throws(() => writer.write(block, "a", 2 ** 33, 0), RangeError);
});

Deno.test("padding fills blocks", () => {
  assert.deepEqual([0, 1, 511, 512, 513].map(padding), [0, 511, 1, 0, 511]);
});
