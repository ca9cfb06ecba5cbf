/** What Debian's kernel makes of the PCI bus, and of devices that come and go on it. */
import assert from "node:assert/strict";
import { LinuxGuest } from "../linux_guest.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

const DEVICES = "/sys/bus/pci/devices";

/** Takes one device twice; nothing in here rescans the bus. */
const TAKE_AND_LET_GO = `
modprobe -a virtio_pci virtio-rng
say devices $(ls ${DEVICES})
say slots $(ls /sys/bus/pci/slots | wc -l)
say ecam $(dmesg | grep -c "MMCONFIG at .* reserved in ACPI")
for round in 1 2; do
  say ready$round
  until [ -e ${DEVICES}/0000:00:02.0/driver ]; do usleep 20000; done
  say driver $(basename $(readlink ${DEVICES}/0000:00:02.0/driver))
  until echo virtio_rng.1 2> /dev/null > /sys/class/misc/hw_random/rng_current; do usleep 20000; done
  say random $(head -c 16 /dev/hwrng | wc -c)
  say vectors $(grep -c "PCI-MSI.*virtio1" /proc/interrupts)
  say taken$round
  while [ -e ${DEVICES}/0000:00:02.0 ]; do usleep 20000; done
  say gone$round
done
say left $(ls ${DEVICES})
`;

onNativeKvm("a guest takes a device on PCI and lets it go, twice, without a rescan", async () => {
  await using home = new HvshHome();
  await using guest = LinuxGuest.start(home, ["-n", "web", "--rng", ""], TAKE_AND_LET_GO);
  const hvsh = async (...words: string[]) => {
    const { status, stderr } = await home.run(words);
    assert.deepEqual([status, stderr], [0, ""]);
  };
  for (const round of [1, 2]) {
    await guest.said(`ready${round}`);
    await hvsh("attach", "web", "rng");
    await guest.said(`taken${round}`);
    await hvsh("detach-device", "web", "rng1");
    await guest.said(`gone${round}`);
  }
  const said = await guest.end();
  assert.equal(said.one("devices"), "0000:00:00.0 0000:00:01.0");
  assert.equal(said.one("slots"), "31");
  assert.equal(said.one("ecam"), "1");
  assert.deepEqual(said.all("driver"), ["virtio-pci", "virtio-pci"]);
  assert.deepEqual(said.all("random"), ["16", "16"]);
  assert.deepEqual(said.all("vectors"), ["2", "2"]);
  assert.equal(said.one("left"), said.one("devices"));
});

onNativeKvm("without MSI-X a device's interrupts come by its slot's line", async () => {
  await using home = new HvshHome();
  await using guest = LinuxGuest.start(
    home,
    ["--rng", ""],
    `
    echo 0 > ${DEVICES}/0000:00:01.0/msi_bus
    modprobe -a virtio_pci virtio-rng
    say random $(head -c 4096 /dev/hwrng | wc -c)
    say line $(awk '/virtio0/ { print $1, ($2 > 0), $3, $4 }' /proc/interrupts)
  `,
  );
  const said = await guest.end();
  assert.equal(said.one("random"), "4096");
  assert.match(said.one("line"), /^\d+: 1 IO-APIC 17-fasteoi$/);
});
