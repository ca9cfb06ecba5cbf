import assert from "node:assert/strict";
import { kernelCmdline } from "./linux_cmdline.ts";
import { sampleBzImage, sampleElf } from "../../tests/sample_images.ts";

const DEFAULTS = "console=ttyS0 reboot=k panic=-1";
const code = new Uint8Array(64);
const image = (bytes: Uint8Array) => ({ path: "kernel", bytes });

Deno.test("Linux gets a console and a panic that ends the VM, and the user has the last word", () => {
  const packed = image(sampleBzImage(code, { payload_offset: 0, payload_length: 16 }));
  assert.equal(kernelCmdline(packed, undefined), DEFAULTS);
  assert.equal(kernelCmdline(packed, "panic=0"), `${DEFAULTS} panic=0`);
  const segments = [{ vaddr: 0x10_0000n, paddr: 0x10_0000, data: code }];
  const notes = [{ name: "Linux", type: 0x101, desc: new Uint8Array(4) }];
  assert.equal(
    kernelCmdline(image(sampleElf(64, 0x10_0000n, segments, notes)), "a"),
    `${DEFAULTS} a`,
  );
});

Deno.test("Linux is told of virtio-mmio devices where no table does", () => {
  const packed = image(sampleBzImage(code, { payload_offset: 0, payload_length: 16 }));
  const told = [{ base: 0xe800_0000, irq: 5 }, { base: 0xe800_1000, irq: 6 }];
  assert.equal(
    kernelCmdline(packed, "quiet", told),
    `${DEFAULTS} virtio_mmio.device=4K@0xe8000000:5 virtio_mmio.device=4K@0xe8001000:6 quiet`,
  );
});

Deno.test("others that come as a kernel get the user's words alone", () => {
  assert.equal(kernelCmdline(image(sampleBzImage(code)), undefined), "");
  assert.equal(
    kernelCmdline(image(sampleBzImage(code)), "console=ttyS0,115200"),
    "console=ttyS0,115200",
  );
  const segments = [{ vaddr: 0x10_0000n, paddr: 0x10_0000, data: code }];
  assert.equal(kernelCmdline(image(sampleElf(64, 0x10_0000n, segments)), "a b"), "a b");
});
