/** Firmware that hands over to a kernel which it finds in fw_cfg. */
import assert from "node:assert/strict";
import { guestPath } from "../../scripts/setup/guests.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

/** Boots Debian's kernel behind firmware, up to its power-off; gives the console. */
async function bootBehind(...firmware: string[]): Promise<string> {
  await using home = new HvshHome();
  const { status, stdout, stderr } = await home.run([
    ...["run", "-m", "256M", ...firmware, guestPath("vmlinuz")],
    ...["--initrd", guestPath("initramfs.cpio"), "--cmdline", "quiet hvsh.do=poweroff"],
  ]);
  assert.deepEqual([status, stderr], [0, ""]);
  assert.match(stdout, /hvsh-guest: up, 1 cpus\r\n/);
  assert.match(stdout, /reboot: Power down/);
  return stdout;
}

onNativeKvm("qboot starts the document's kernel", async () => {
  await bootBehind("--firmware", guestPath("qboot.rom"));
});

onNativeKvm(
  "SeaBIOS starts it by an option ROM, and has the serial port as its screen",
  async () => {
    const roms = ["--rom", guestPath("linuxboot_dma.bin")];
    const console = await bootBehind("--firmware", guestPath("bios-256k.bin"), ...roms);
    assert.match(console, /SeaBIOS \(version [^)]+\)\s+Booting from ROM/);
  },
);
