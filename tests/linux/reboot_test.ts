import assert from "node:assert/strict";
import { guestPath } from "../../scripts/setup/guests.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

const VMLINUZ = guestPath("vmlinuz");
const INITRAMFS = guestPath("initramfs.cpio");

onNativeKvm("Debian's reboot starts it anew in place, and so does `hvsh reset`", async () => {
  await using home = new HvshHome();
  await using process = home.start([
    ...["run", "-n", "web", "--reboot", "restart", "--cpus", "2", "--rng", "", "--balloon", ""],
    ...[VMLINUZ, "--initrd", INITRAMFS, "--cmdline", "quiet hvsh.do=shell"],
  ], "open");
  const boots = async (count: number) => {
    while (process.output.split("hvsh-guest: up, 2 cpus").length <= count) await process.more();
    while (process.output.split("# ").length <= count) await process.more();
  };
  await boots(1);
  await process.send("reboot -f\n");
  await boots(2);
  const reset = await home.run(["reset", "web"]);
  assert.deepEqual([reset.status, reset.stderr], [0, ""]);
  await boots(3);
  const status = await home.run(["status", "web"]);
  assert.equal(JSON.parse(status.stdout).resets, 2);
  await process.send("poweroff -f\n");
  const { status: end, stderr } = await process.result();
  assert.deepEqual([end, stderr], [0, ""]);
});
