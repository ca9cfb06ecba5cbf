import { equal } from "node:assert/strict";
import { findMultibootHeader } from "./multiboot_header.ts";
import { joined, sampleMultiboot } from "../../tests/sample_images.ts";

const kernel = sampleMultiboot(new Uint8Array(16));

Deno.test("findMultibootHeader finds a header on any 4-byte boundary of the first 8 KiB", () => {
  equal(findMultibootHeader(kernel), 0);
  equal(findMultibootHeader(joined(new Uint8Array(4), kernel)), 4);
  equal(findMultibootHeader(joined(new Uint8Array(8192 - 12), kernel)), 8192 - 12);
});

Deno.test("findMultibootHeader passes over what is unaligned, too far or wrongly summed", () => {
  equal(findMultibootHeader(joined(new Uint8Array(2), kernel)), undefined);
  equal(findMultibootHeader(joined(new Uint8Array(8192 - 8), kernel)), undefined);
  equal(findMultibootHeader(sampleMultiboot(new Uint8Array(16), { checksum: 1 })), undefined);
  equal(findMultibootHeader(kernel.subarray(0, 11)), undefined);
  equal(findMultibootHeader(new Uint8Array()), undefined);
});
