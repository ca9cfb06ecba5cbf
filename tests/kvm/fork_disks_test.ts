/** Whose the disks of a VM are while there are copies of it. */
import assert from "node:assert/strict";
import { lockDiskFile } from "../../ffi/disk_file.ts";
import { closeFile, openFile, OpenFlag } from "../../ffi/files.ts";
import type { DeviceEntry } from "../../vmm/document.ts";
import { Machine } from "../../vmm/machine.ts";
import { forkMachine, forkSource } from "../../vmm/state/fork.ts";
import { flatDocument } from "../flat_machine.ts";
import { SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";

/** Runs something with a folder of two images. */
async function withImages(work: (one: string, two: string) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "hvsh-test-" });
  try {
    const paths = ["one", "two"].map((name) => `${folder}/${name}`);
    for (const path of paths) Deno.writeFileSync(path, new Uint8Array(65536));
    await work(paths[0]!, paths[1]!);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

async function spinning(devices: readonly DeviceEntry[] = []): Promise<Machine> {
  const machine = await Machine.create(flatDocument(SPIN, {}, { devices, pci: true }));
  machine.start();
  return machine;
}

/** Whether nobody else could even read an image. */
function isOnesAlone(path: string): boolean {
  const fd = openFile(path, OpenFlag.RDONLY);
  try {
    return !lockDiskFile(fd, false, path);
  } finally {
    closeFile(fd);
  }
}

onKvm(
  "a disk that came while its VM runs keeps that from being copied, until it is paused",
  async () => {
    await withImages(async (path) => {
      await using machine = await spinning();
      await machine.attach({ type: "disk", path });
      await assert.rejects(forkSource(machine), /only while it is paused/);
      assert.ok(isOnesAlone(path));
      await machine.pause();
      using source = await forkSource(machine);
      await using copy = await forkMachine(source);
      assert.equal(
        copy.document.devices?.find(({ type }) => type === "disk")?.overlay,
        "temporary",
      );
      assert.throws(() => machine.resume(), /others still use/);
    });
  },
);

onKvm("a disk that can't be lent leaves the others with their VM", async () => {
  await withImages(async (one, two) => {
    const overlay = `${two}.overlay`;
    await using machine = await spinning([
      { type: "disk", path: one },
      { type: "disk", path: two, overlay },
    ]);
    await machine.pause();
    await assert.rejects(forkSource(machine), /a disk with an overlay can't be shared/);
    assert.ok(isOnesAlone(one));
    machine.resume();
    assert.ok(isOnesAlone(one));
  });
});

onKvm("a VM whose disks copies have makes no step either, until they have ended", async () => {
  await withImages(async (path) => {
    await using machine = await spinning([{ type: "disk", path }]);
    await machine.pause();
    const debug = await machine.debugger();
    {
      using source = await forkSource(machine);
      await using _copy = await forkMachine(source);
      await assert.rejects(debug.step(0), /others still use/);
      assert.equal(machine.state, "paused");
      assert.ok(!isOnesAlone(path));
    }
    assert.equal((await debug.step(0))?.reason, "step");
    assert.ok(isOnesAlone(path));
    machine.resume();
  });
});
