import assert from "node:assert/strict";
import fc from "fast-check";
import { ImageError } from "../../ffi/errors.ts";
import { createDeviceContext } from "../../tests/fake_device_context.ts";
import { fwCfg } from "../devices/fw_cfg.ts";
import { FwCfgKey } from "../devices/fw_cfg_directory.ts";
import { GuestMemory } from "../guest_memory.ts";
import { firmwareItems } from "./firmware_config.ts";
import { kernelItems } from "./firmware_kernel.ts";

const memory = new GuestMemory([
  { base: 0, buffer: new ArrayBuffer(0x20_0000), ram: true },
  { base: 0xfffe_0000, buffer: new ArrayBuffer(0x2_0000), ram: false },
]);
const devices = { serialPorts: [], i8042: false, rtc: true, pvpanic: false, fwCfg: true };

function bzImage(setupSects = 1, version = 0x20f, length = 4096): Uint8Array<ArrayBuffer> {
  const image = new Uint8Array(length).fill(0xcc);
  const view = new DataView(image.buffer);
  image[0x1f1] = setupSects;
  image.set(new TextEncoder().encode("HdrS"), 0x202);
  view.setUint16(0x206, version, true);
  view.setUint32(0x22c, 0x7fff_ffff, true);
  return image;
}

Deno.test("firmware is told of RAM, processors and ACPI", () => {
  const board = { cpus: 2, memory, acpi: { cpus: 2, devices }, serialConsole: 0x3f8 };
  const roms = [{ name: "a.bin", data: Uint8Array.of(9) }];
  const { items, files } = firmwareItems({ ...board, roms });
  const item = (key: number) => new Uint8Array(items.find((i) => i.key === key)!.data).toHex();
  const file = (name: string) => new Uint8Array(files.find((f) => f.name === name)!.data).toHex();
  assert.equal(item(FwCfgKey.RAM_SIZE), "0000200000000000");
  assert.equal(item(FwCfgKey.NB_CPUS), "0200");
  assert.equal(item(FwCfgKey.MAX_CPUS), "0200");
  assert.equal(
    file("etc/e820"),
    "00c0fffe00000000" + "0040000000000000" + "02000000" +
      "0000000000000000" + "0000200000000000" + "01000000",
  );
  assert.equal(file("etc/sercon-port"), "f803000000000000");
  assert.equal(file("genroms/a.bin"), "09");
  const order = new TextDecoder().decode(Uint8Array.fromHex(file("bootorder")));
  assert.equal(order, "/rom@genroms/a.bin\n\0");
  for (const name of ["etc/acpi/tables", "etc/acpi/rsdp", "etc/table-loader"]) {
    assert.ok(files.some((f) => f.name === name), name);
  }
});

Deno.test("the device accepts them all", () => {
  const roms = [{ name: "a.bin", data: Uint8Array.of(9) }];
  fwCfg.open(firmwareItems({ cpus: 1, memory, roms }), createDeviceContext(fwCfg).context);
});

Deno.test("a kernel is split, and its header filled in as a loader has to", () => {
  const image = bzImage();
  const initrd = new Uint8Array(5000);
  const items = kernelItems({ image, initrd, cmdline: "quiet", lowRamEnd: 0x20_0000 });
  const data = new Map(items.map(({ key, data }) => [key, data]));
  const setup = data.get(FwCfgKey.SETUP_DATA)!;
  const header = new DataView(setup.buffer, setup.byteOffset);
  assert.equal(setup.length, 1024);
  assert.equal(data.get(FwCfgKey.KERNEL_DATA)!.length, image.length - 1024);
  assert.equal(header.getUint8(0x210), 0xb0);
  assert.equal(header.getUint32(0x228, true), 0x2_0000);
  assert.equal(header.getUint32(0x218, true), 0x20_0000 - 0x4_0000 - 0x2000);
  assert.equal(header.getUint32(0x21c, true), 5000);
  assert.equal(data.get(FwCfgKey.CMDLINE_SIZE)!.toHex(), "06000000");
  assert.equal(image[0x210], 0xcc, "the caller's image is left as it was");
});

Deno.test("a kernel whose header lies is refused with the place of the lie", () => {
  const start = (image: Uint8Array, initrd = 0) =>
    kernelItems({ image, initrd: new Uint8Array(initrd), cmdline: "", lowRamEnd: 0x20_0000 });
  assert.throws(() => start(new Uint8Array(10)), /0x202/);
  assert.throws(() => start(bzImage(7)), /0x1f1/);
  assert.throws(() => start(bzImage(1, 0x202)), /0x206/);
  assert.throws(() => start(bzImage(), 0x20_0000), ImageError);
});

Deno.test("no bytes at all make a kernel's splitting fail otherwise", () => {
  const header = fc.uint8Array({ minLength: 0x10, maxLength: 0x80 });
  fc.assert(
    fc.property(header, fc.nat(4096), (noise, length) => {
      const image = bzImage();
      image.set(noise, 0x1f1);
      image.set(new TextEncoder().encode("HdrS"), 0x202);
      try {
        kernelItems({ image: image.subarray(0, length), cmdline: "", lowRamEnd: 0x20_0000 });
      } catch (error) {
        assert.ok(error instanceof ImageError);
      }
    }),
    { numRuns: 100 },
  );
});
