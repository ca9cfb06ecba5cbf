/**
 * Small files that expand to far more than any test's machine has, in each format that kernels are
 * packed with.
 *
 * @module
 */
import { gzipSync, zstdCompressSync } from "node:zlib";
import { joined } from "./sample_images.ts";

const MIB = 2 ** 20;

/** 32 MiB of zeros by bzip2. */
const BZIP2 = "QlpoOTFBWSZTWaIgopoBAQHAAMAAAAggADCAKRtoAgGiAQDi7kinChIURBRTQA==";

/** 4 MiB of zeros by `lzma`, whose length its header does not tell. */
const LZMA = [
  "XQAAgAD//////////wAAb/3//6O3/0c+SBVyOWFRuJIo5qOGB/nu5B6C0y/FOjwBS7F+yYqKTS+jDdl/puOM",
  "IxFT4FkYxXWK4nf4tpR/DGrA3nRJZOLpXFOyBNj3RAyrXw1tRunlw3aIt5ZXrLZN4Wkdb/tLiBBsQsuIP1wA",
  "j9BOryYolHEfPY8k4XCepyNf7CjLhdGVmIp+KpHyJ3X3GcAGmE2Y/div1ZAPxCVT+PWRNjEFpbDub8FwTUcM",
  "0ZERqq1gHbrOsScYXFmG6WZSWL7pdqxZ5OVbBQj5x9qt/PtSK3TNHlsgQvndUz34KWQJO4DLKmzftTvwxL0u",
  "X6oPPktmQpATDv8Qk/hxeFn4C83/lShGD6n8fN77mjAuVsCPhfODgcBlxCVT+PWRNjEFpbDub8FwTUcM0ZER",
  "qq1gHbrOsScYXFmG6WZSWL7pdqxZ5OVbBQj5x9qt/PtSK3TNHlsgQvndUz34KWQJO4DLKmzftTvwxL0uX6oP",
  "PktmQpATDv8Qk/hxeFn4C83/lShGD6n8fN77mjAuVsCPhfODgcBlxCVT+PWRNjEFpbDub8FwTUcM0ZERqq1g",
  "HbrOsScYXFmG6WZSWL7pdqxZ5OVbBQj5x9qt/PtSK3TNHlsgQvndUz34KWQJO4DLKmzftTvwxL0uX6oPPktm",
  "QpATDv8Qk/hxeFn4C83/lShGD6n8fN77mjAuVsCPhfODgcBlxCVT+PWRNjEFpbDub8FwTUcM0ZERqq1gHbrO",
  "sScYXFmG6WZSWL7pdqxZ5OVbBQj5x9qt/PtSK3TNHlsgQvndUz34KWQJO4DLKmzftTvwxL0uX6oPPktmQpAT",
  "Dv8Qk/hxeFn4C83/lShGD6n8fN77mjAuVsCPhfODgcBlxCVT+PWRNCYMw/bz//98SAAA",
].join("");

/** The start of an xz file without check, and a chunk of LZMA2 that gives 64 KiB of zeros. */
const XZ_START = "fd377a585a000000ff12d9410200210110000000a8708e86";
const XZ_CHUNK =
  "e0ffff004c5d00006ffdffffa3b7ff473e481572396151b89228e6a38607f9eee41e82d32fc53a3c014b" +
  "b17ec98a8a4d2fa30dd97fa6e38c231153e05918c5758ae277f8b6947f0c6ac0de7449645c9e3ad100";

function xzBomb(): Uint8Array {
  const chunk = Uint8Array.fromHex(XZ_CHUNK);
  const chunks = Array.from({ length: 4096 }, () => chunk);
  return joined(Uint8Array.fromHex(XZ_START), ...chunks); // 256 MiB, and no end
}

/** Legacy frames of 8 MiB blocks: a zero, and a match that repeats it. */
function lz4Bomb(): Uint8Array {
  const match = 8 * MIB - 1 - 19; // the token says 19 of it
  const block = new Uint8Array(4 + Math.floor(match / 255) + 1);
  block.set([0x1f, 0, 1, 0]);
  block.fill(255, 4);
  block[block.length - 1] = match % 255;
  const framed = joined(
    new Uint8Array(Uint32Array.of(block.length + 1).buffer),
    block,
    new Uint8Array(1),
  );
  return joined(Uint8Array.of(0x02, 0x21, 0x4c, 0x18), ...Array.from({ length: 32 }, () => framed));
}

/** By format; what each gives is zeros, 4 MiB of them at least. */
export const BOMBS: Readonly<Record<string, () => Uint8Array>> = {
  gzip: () => new Uint8Array(gzipSync(new Uint8Array(64 * MIB))),
  zstd: () => new Uint8Array(zstdCompressSync(new Uint8Array(64 * MIB))),
  lz4: lz4Bomb,
  bzip2: () => Uint8Array.fromBase64(BZIP2),
  lzma: () => Uint8Array.fromBase64(LZMA),
  xz: xzBomb,
};
