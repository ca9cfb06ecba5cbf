import assert from "node:assert/strict";
import { join } from "node:path";
import { LinuxGuest, ON_HVC0, SAY_ON_HVC0 } from "../linux_guest.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

onNativeKvm(
  "a guest without a PCI bus finds its devices by ACPI and drives them by MMIO",
  async () => {
    await using home = new HvshHome();
    const disk = home.write("disk.img", new Uint8Array(2 ** 20).fill(0x61));
    await using guest = LinuxGuest.startDocument(
      home,
      { pci: false },
      [
        { type: "rng", name: "rng0", transport: "mmio" },
        { type: "console", name: "console0", transport: "mmio" },
        { type: "disk", name: "disk0", path: disk, transport: "mmio" },
        {
          type: "vsock",
          name: "vsock0",
          path: join(home.folder, "vsock"),
          cid: 7,
          transport: "mmio",
        },
      ],
      `
    modprobe -a virtio_mmio virtio-rng virtio_console virtio_blk vmw_vsock_virtio_transport
    say devices $(ls /sys/bus/virtio/devices | wc -l) $(ls /sys/bus/pci/devices 2>/dev/null | wc -l)
    say rng $(cat /sys/class/misc/hw_random/rng_current) $(head -c 4096 /dev/hwrng | wc -c)
    ${SAY_ON_HVC0}
    say disk $(cat /sys/block/vda/size) $(dd if=/dev/vda bs=4096 count=2 iflag=direct 2>/dev/null | tr -d a | wc -c)
    echo changed | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null
    say vsock $(probe relay vsock:2:9 2>&1 < /dev/null || true)
  `,
    );
    const said = await guest.end();
    assert.equal(said.one("devices"), "4 0");
    assert.match(said.one("rng"), /^virtio_rng\S* 4096$/);
    assert.equal(said.hvc0, ON_HVC0);
    assert.equal(said.one("disk"), "2048 0");
    assert.equal((await Deno.readTextFile(disk)).slice(0, 10), "changed\naa");
    assert.match(said.one("vsock"), /connect: Connection reset/);
  },
);
