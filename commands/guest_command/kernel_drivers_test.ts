import assert from "node:assert/strict";
import { ImageError } from "../../ffi/errors.ts";
import { sampleBzImage } from "../../tests/sample_images.ts";
import { kernelDrivers } from "./kernel_drivers.ts";

const VERSION = "6.1.0-hvsh-test";

/** A kernel, and modules of it in a folder. */
async function withKernel(
  modules: string,
  work: (root: string, kernel: string) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "hvsh-kernel-" });
  try {
    await Deno.mkdir(`${root}/boot`);
    const kernel = sampleBzImage(new Uint8Array(64), { kernel_version: 0x300 });
    kernel.set(new TextEncoder().encode(`${VERSION} (somebody) #1\0`), 0x500);
    await Deno.writeFile(`${root}/boot/vmlinuz`, kernel);
    const folder = `${root}/${modules}`;
    await Deno.mkdir(folder, { recursive: true });
    const needs = ["virtio-rng.ko: virtio.ko", "virtio_console.ko: virtio.ko", "virtio.ko:"];
    await Deno.writeTextFile(`${folder}/modules.dep`, needs.join("\n"));
    for (const name of ["virtio-rng", "virtio_console", "virtio"]) {
      await Deno.writeTextFile(`${folder}/${name}.ko`, `\x7fELF`);
    }
    await work(root, `${root}/boot/vmlinuz`);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("modules beside a kernel are found as packages have them", async () => {
  for (const folder of [`lib/modules/${VERSION}`, `boot/usr/lib/modules/${VERSION}`, "boot"]) {
    await withKernel(folder, async (_root, kernel) => {
      const { version, modules, missedIn } = await kernelDrivers(kernel, [], undefined);
      assert.equal(version, VERSION);
      assert.deepEqual(modules.map(({ name }) => name), ["virtio", "virtio_console"]);
      assert.deepEqual(missedIn, []);
    });
  }
});

Deno.test("a device's driver is among them", async () => {
  await withKernel("boot", async (_root, kernel) => {
    const { modules } = await kernelDrivers(kernel, [{ type: "rng" }], undefined);
    assert.deepEqual(modules.map(({ name }) => name), ["virtio", "virtio_console", "virtio_rng"]);
  });
});

Deno.test("a person's folder is a kernel's own or a root, and must have modules", async () => {
  await withKernel(`elsewhere/lib/modules/${VERSION}`, async (root, kernel) => {
    const none = await kernelDrivers(kernel, [], undefined);
    assert.deepEqual(none.modules, []);
    assert.ok(none.missedIn.includes(`/lib/modules/${VERSION}`), none.missedIn.join());
    for (const folder of [`${root}/elsewhere`, `${root}/elsewhere/lib/modules/${VERSION}`]) {
      assert.equal((await kernelDrivers(kernel, [], folder)).modules.length, 2);
    }
    await assert.rejects(kernelDrivers(kernel, [], `${root}/boot`), ImageError);
  });
});
