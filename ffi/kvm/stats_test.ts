import assert from "node:assert/strict";
import fc from "fast-check";
import { kvm_stats_desc, kvm_stats_header, parseStatsLayout } from "./stats.ts";

const NAME_SIZE = 48;

interface Written {
  readonly flags: number;
  readonly exponent: number;
  readonly size: number;
  readonly position: number;
  readonly bucket: number;
  readonly name: string;
}

/** A stats file with its id behind the header. */
function file(figures: readonly Written[]): Uint8Array<ArrayBuffer> {
  const stride = kvm_stats_desc.size + NAME_SIZE;
  const start = kvm_stats_header.size + NAME_SIZE;
  const bytes = new Uint8Array(start + figures.length * stride);
  const view = new DataView(bytes.buffer);
  const header = new kvm_stats_header(view);
  header.name_size = NAME_SIZE;
  header.num_desc = figures.length;
  header.id_offset = kvm_stats_header.size;
  header.desc_offset = start;
  header.data_offset = bytes.length;
  figures.forEach(({ flags, exponent, size, position, bucket, name }, i) => {
    const descriptor = new kvm_stats_desc(view, start + i * stride);
    Object.assign(descriptor, { flags, exponent, size, position, bucket_size: bucket });
    bytes.set(new TextEncoder().encode(name), start + i * stride + kvm_stats_desc.size);
  });
  return bytes;
}

const exits = { flags: 0, exponent: 0, size: 1, position: 0, bucket: 0, name: "exits" };

Deno.test("a figure has its name, kind, unit, scale and place", () => {
  const layout = parseStatsLayout(file([
    exits,
    { ...exits, flags: 0x20, exponent: -9, position: 8, name: "halt_wait_ns" },
    { ...exits, flags: 0x114, exponent: 10, size: 32, position: 16, name: "hist" },
    { ...exits, flags: 0x42, position: 272, name: "guest_mode" },
  ]));
  assert.deepEqual(
    layout.figures.map(({ name, kind, unit, scale, count, at }) => ({
      ...{ name, kind, unit, scale, count, at },
    })),
    [
      { name: "exits", kind: "cumulative", unit: "none", scale: 1, count: 1, at: 0 },
      { name: "halt_wait_ns", kind: "cumulative", unit: "seconds", scale: 1e-9, count: 1, at: 8 },
      { name: "hist", kind: "log_histogram", unit: "bytes", scale: 1024, count: 32, at: 16 },
      { name: "guest_mode", kind: "peak", unit: "boolean", scale: 1, count: 1, at: 272 },
    ],
  );
  assert.deepEqual([layout.dataOffset, layout.dataSize], [file([]).length + 4 * 64, 280]);
});

Deno.test("a figure of a kind or unit of the future is left out", () => {
  const unknown = [{ ...exits, flags: 0xf }, { ...exits, flags: 0xf0 }, { ...exits, size: 0 }];
  assert.deepEqual(parseStatsLayout(file([...unknown, exits])).figures.map((f) => f.name), [
    "exits",
  ]);
});

Deno.test("a file that contradicts itself is refused", () => {
  const cut = file([exits]);
  assert.throws(() => parseStatsLayout(cut.subarray(0, cut.length - 1)), RangeError);
  assert.throws(() => parseStatsLayout(cut.subarray(0, 10)), RangeError);
  assert.throws(() => parseStatsLayout(file([{ ...exits, position: 4 }])), RangeError);
  assert.throws(() => parseStatsLayout(file([{ ...exits, position: 0xffff_fff8 }])), RangeError);
});

Deno.test("whatever the bytes, every figure lies in the data, or the file is refused", () => {
  fc.assert(fc.property(
    fc.array(fc.record({
      flags: fc.integer({ min: 0, max: 0xfff }),
      exponent: fc.integer({ min: -20, max: 20 }),
      size: fc.integer({ min: 0, max: 100 }),
      position: fc.integer({ min: 0, max: 2 ** 20 + 100 }),
      bucket: fc.nat(1000),
      name: fc.string({ maxLength: 16 }).filter((name) => !name.includes("\0")),
    })),
    fc.array(fc.tuple(fc.nat(), fc.nat(255))),
    (figures, flips) => {
      const bytes = file(figures);
      for (const [at, value] of flips) bytes[at % bytes.length] = value;
      let layout;
      try {
        layout = parseStatsLayout(bytes);
      } catch (error) {
        assert.ok(error instanceof RangeError);
        return;
      }
      for (const { at, count, name } of layout.figures) {
        assert.ok(at % 8 === 0 && at + 8 * count <= layout.dataSize);
        assert.ok(!name.includes("\0"));
      }
    },
  ));
});
