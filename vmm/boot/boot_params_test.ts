import { deepEqual, equal, throws } from "node:assert/strict";
import { GuestMemory } from "../guest_memory.ts";
import { BootParams, writeBootParams } from "./boot_params.ts";
import { ramOf } from "../../tests/sample_images.ts";
import { SetupHeader } from "./setup_header.ts";

const image = { path: "kernel", bytes: new Uint8Array() };

Deno.test("offsets are those of zero-page.rst", () => {
  const { offsets } = BootParams;
  equal(BootParams.size, 4096);
  deepEqual(
    [
      offsets.acpi_rsdp_addr,
      offsets.ext_ramdisk_image,
      offsets.cc_blob_address,
      offsets.e820_entries,
      offsets.sentinel,
      offsets.hdr,
      offsets.edd_mbr_sig_buffer,
      offsets.e820_table,
      offsets.eddbuf,
    ],
    [0x70, 0xc0, 0x13c, 0x1e8, 0x1ef, 0x1f1, 0x290, 0x2d0, 0xd00],
  );
});

Deno.test("the page holds header, memory map and RSDP, and no rest of what was there", () => {
  const memory = ramOf(2 << 20);
  memory.bytes(0, 0x2_0000).fill(0xff);
  const header = new SetupHeader();
  header.cmd_line_ptr = 0x2_0000;
  const at = writeBootParams(memory, image, { header, acpiRsdp: 0xe_0000 });
  const params = new BootParams(memory.view(at, BootParams.size));
  equal(params.sentinel, 0);
  equal(params.acpi_rsdp_addr, 0xe_0000);
  equal(params.hdr.cmd_line_ptr, 0x2_0000);
  equal(params.e820_entries, 3);
  deepEqual({ ...params.e820_table.at(2).toJSON() }, { addr: 0x10_0000, size: 1 << 20, type: 1 });
  deepEqual({ ...params.e820_table.at(3).toJSON() }, { addr: 0, size: 0, type: 0 });
});

Deno.test("memory in too many pieces, or too little of it, is an ImageError", () => {
  const pieces = Array.from({ length: 130 }, (_, i) => ({
    base: i * 0x20_0000,
    buffer: new ArrayBuffer(0x1_0000),
    ram: true,
  }));
  const header = new SetupHeader();
  throws(() => writeBootParams(new GuestMemory(pieces), image, { header }), /holds 128 ranges/);
  throws(() => writeBootParams(ramOf(0x7000), image, { header }), /boot_params needs memory/);
});
