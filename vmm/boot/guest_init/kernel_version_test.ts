import assert from "node:assert/strict";
import { joined, sampleBzImage, sampleElf } from "../../../tests/sample_images.ts";
import { kernelVersion } from "./kernel_version.ts";

const image = (bytes: Uint8Array) => ({ path: "kernel", bytes });
const text = (words: string) => new TextEncoder().encode(words);

Deno.test("a bzImage's version is in its setup code", () => {
  const bytes = sampleBzImage(new Uint8Array(64), { kernel_version: 0x300 });
  bytes.set(text("6.1.0-18-amd64 (debian@lists) #1 SMP\0"), 0x500);
  assert.equal(kernelVersion(image(bytes)), "6.1.0-18-amd64");
  assert.equal(kernelVersion(image(sampleBzImage(new Uint8Array(64)))), undefined);
});

Deno.test("a version that could lead out of a folder of modules is none", () => {
  const bytes = sampleBzImage(new Uint8Array(64), { kernel_version: 0x300 });
  bytes.set(text("6.1/../../etc (x)\0"), 0x500);
  assert.equal(kernelVersion(image(bytes)), undefined);
  const outside = sampleBzImage(new Uint8Array(64), { kernel_version: 0xfff0 });
  assert.equal(kernelVersion(image(outside)), undefined);
});

Deno.test("an ELF's version is in its banner", () => {
  const data = joined(text("Linux, Linux version 5.10.3+ (gcc)\n"), new Uint8Array(8));
  const bytes = sampleElf(64, 0x100_0000n, [{ vaddr: 0n, paddr: 0x100_0000, data }]);
  assert.equal(kernelVersion(image(bytes)), "5.10.3+");
  const silent = sampleElf(64, 0n, [{ vaddr: 0n, paddr: 0, data: text("no banner") }]);
  assert.equal(kernelVersion(image(silent)), undefined);
});
