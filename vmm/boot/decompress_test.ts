import { deepEqual, equal, rejects } from "node:assert/strict";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { ImageError } from "../../ffi/errors.ts";
import { decompress, detectCompression } from "./decompress.ts";
import { joined } from "../../tests/sample_images.ts";

/** "hvsh " 200 times. */
const plain = new TextEncoder().encode("hvsh ".repeat(200));
const limit = 1 << 20;
const where = "kernel: payload";
const base64 = (value: string) => Uint8Array.from(atob(value), (c) => c.charCodeAt(0));

/** The same text, packed by gzip, zstd, lz4 -l, bzip2, lzma, and xz with its x86 filter. */
const PACKED = {
  gzip: new Uint8Array(gzipSync(plain)),
  zstd: new Uint8Array(zstdCompressSync(plain)),
  lz4: base64("AiFMGBIAAABfaHZzaCAFAP///85QaHZzaCA="),
  bzip2: base64("QlpoOTFBWSZTWcRieCoAASuRgEAAAEAJACAAMM00ClBgi0RaIuEXCLxdyRThQkMRieCo"),
  lzma: base64("XQAAgAD//////////wA0HYqw7hsruUtAXyBfd9ea///hYgAA"),
  xz: base64(
    "/Td6WFoAAAFpIt42AgEEACEBEACLIW9J4APnABFdADQdirDuGyu5S0BfIF82qD8AAAAAANrlKvsAASnoBwAAAIQ0hWY+MA2LAgAAAAABWVo=",
  ),
};

for (const [format, packed] of Object.entries(PACKED)) {
  Deno.test(`${format}: detected and unpacked`, async () => {
    equal(detectCompression(packed), format);
    deepEqual(new Uint8Array(await decompress(packed, { limit, where })), plain);
    deepEqual(new Uint8Array(await decompress(packed, { limit, where, size: 1000 })), plain);
  });

  Deno.test(`${format}: cut at the limit`, async () => {
    await rejects(decompress(packed, { limit: 999, where }), {
      name: "ImageError",
      message: /^kernel: payload.*more than the 999 bytes allowed/,
    });
  });

  Deno.test(`${format}: a size that lies is told`, async () => {
    await rejects(decompress(packed, { limit, where, size: 1001 }), ImageError);
    await rejects(decompress(packed, { limit, where, size: 999 }), ImageError);
    await rejects(decompress(packed, { limit, where, size: 2 ** 32 }), /more than 1048576/);
  });

  Deno.test(`${format}: cut off anywhere, it is an ImageError`, async () => {
    for (let end = 0; end < packed.length - 4; end += 7) {
      await rejects(decompress(packed.subarray(0, end), { limit, where }), ImageError);
    }
  });

  Deno.test(`${format}: damaged anywhere, it gives bytes or an ImageError`, async () => {
    const at = fc.nat(packed.length - 1);
    await fc.assert(
      fc.asyncProperty(at, fc.integer({ min: 1, max: 255 }), async (place, change) => {
        const damaged = packed.slice();
        damaged[place]! ^= change;
        try {
          await decompress(damaged, { limit, where });
        } catch (error) {
          if (!(error instanceof ImageError)) throw error;
        }
      }),
      { numRuns: 60 },
    );
  });
}

Deno.test("several xz streams unpack at once", async () => {
  const all = await Promise.all([1, 2, 3].map(() => decompress(PACKED.xz, { limit, where })));
  for (const one of all) deepEqual(one, plain);
});

Deno.test("bzip2 runs of four and more come out in full", async () => {
  const packed = base64("QlpoMTFBWSZTWRZhajUAAMYUAIQAIAAACCAAMMwFKacYQtgQvF3JFOFCQFmFqNQ=");
  deepEqual(await decompress(packed, { limit, where }), new Uint8Array(100_000).fill(65));
  await rejects(decompress(packed, { limit: 99_999, where }), /more than the 99999 bytes/);
});

Deno.test("LZO and unknown formats are refused by name", async () => {
  const lzo = Uint8Array.of(0x89, 0x4c, 0x5a, 0x4f);
  equal(detectCompression(lzo), "lzo");
  await rejects(decompress(lzo, { limit, where }), /packed with LZO/);
  equal(detectCompression(new Uint8Array(8)), undefined);
  await rejects(decompress(new Uint8Array(8), { limit, where }), /no known compressed format/);
});

Deno.test("zstd frames with something behind them are refused", async () => {
  await rejects(
    decompress(joined(PACKED.zstd, Uint8Array.of(1, 2, 3, 4)), { limit, where }),
    /something behind it/,
  );
  const skippable = Uint8Array.of(0x53, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9);
  equal((await decompress(joined(PACKED.zstd, skippable), { limit, where })).length, 1000);
});
