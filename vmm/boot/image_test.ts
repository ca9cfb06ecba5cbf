import { equal, throws } from "node:assert/strict";
import { ImageError } from "../../ffi/errors.ts";
import { detectImage, fieldError, imagePart } from "./image.ts";
import {
  joined,
  patterned,
  sampleBzImage,
  sampleElf,
  sampleMultiboot,
} from "../../tests/sample_images.ts";

const text = (value: string) => new TextEncoder().encode(value);

Deno.test("detectImage names kernels by the protocol that says most", () => {
  const segment = { vaddr: 0n, paddr: 0x10_0000, data: patterned(16) };
  equal(detectImage(sampleBzImage(patterned(16))), "bzimage");
  equal(detectImage(sampleElf(32, 0x10_0000n, [segment])), "elf32");
  equal(detectImage(sampleElf(64, 0x10_0000n, [segment])), "elf64");
  equal(detectImage(sampleMultiboot(patterned(16))), "multiboot");
  const data = sampleMultiboot(patterned(16));
  equal(detectImage(sampleElf(32, 0x10_0000n, [{ ...segment, data }])), "multiboot");
});

Deno.test("detectImage knows streams, documents and boot sectors", () => {
  equal(detectImage(joined(new Uint8Array(257), text("ustar\0"))), "tar");
  equal(detectImage(text('\n  {"vm":1}')), "document");
  equal(detectImage(joined(new Uint8Array(510), Uint8Array.of(0x55, 0xaa))), "bootsector");
  equal(detectImage(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0)), "zstd");
  equal(detectImage(Uint8Array.of(0x1f, 0x8b, 8)), "gzip");
  equal(detectImage(Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0)), "xz");
});

Deno.test("detectImage says unknown of anything else, however short", () => {
  for (const bytes of [new Uint8Array(), Uint8Array.of(0x7f), text("hello"), new Uint8Array(600)]) {
    equal(detectImage(bytes), "unknown");
  }
  equal(detectImage(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 9)), "unknown");
});

Deno.test("imagePart gives a view, or blames the field that asked", () => {
  const image = { path: "k", bytes: patterned(100) };
  equal(imagePart(image, 90, 10, "f", 4).length, 10);
  equal(imagePart(image, 100, 0, "f", 4).length, 0);
  for (const [offset, length] of [[91, 10], [101, 0], [0, 2 ** 60], [2 ** 60, 1], [-1, 1]]) {
    throws(() => imagePart(image, offset!, length!, "payload_length", 0x24c), {
      name: "ImageError",
      message: new RegExp(`^k: payload_length \\(byte 0x24c\\) asks for ${length} bytes`),
    });
  }
});

Deno.test("fieldError names path, field and offset", () => {
  const error = fieldError({ path: "k", bytes: patterned(1) }, "e_phoff", 0x20, "is odd", "hint");
  equal(error.message, "k: e_phoff (byte 0x20) is odd");
  equal(error.hint, "hint");
  equal(error instanceof ImageError, true);
});
