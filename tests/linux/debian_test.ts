import assert from "node:assert/strict";
import { guestPath } from "../../scripts/setup/guests.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

const VMLINUZ = guestPath("vmlinuz");
const INITRAMFS = guestPath("initramfs.cpio");

/** The words that boot Debian's kernel; its init then does what it is told. */
function debian(action: string, ...flags: string[]): string[] {
  const cmdline = `quiet hvsh.do=${action}`;
  return ["run", ...flags, VMLINUZ, "--initrd", INITRAMFS, "--cmdline", cmdline];
}

onNativeKvm("Debian's kernel reaches user space, and its poweroff ends hvsh with 0", async () => {
  await using home = new HvshHome();
  const { status, stdout, stderr } = await home.run(debian("poweroff"));
  assert.deepEqual([status, stderr], [0, ""]);
  assert.match(stdout, /^hvsh-guest: up, 1 cpus\r\n/m);
  assert.match(stdout, /reboot: Power down/);
});

onNativeKvm("with two vCPUs it has two CPUs, and its reboot ends hvsh with 0", async () => {
  await using home = new HvshHome();
  const { status, stdout, stderr } = await home.run(debian("reboot", "--cpus", "2"));
  assert.deepEqual([status, stderr], [0, ""]);
  assert.match(stdout, /^hvsh-guest: up, 2 cpus\r\n/m);
});

onNativeKvm("a kernel panic is 101", async () => {
  await using home = new HvshHome();
  const { status, stdout, stderr } = await home.run(debian("panic"));
  assert.equal(status, 101);
  assert.match(stdout, /Kernel panic - not syncing: sysrq triggered crash/);
  assert.equal(stderr, "hvsh run: the guest's kernel panicked\n");
});

onNativeKvm(
  "a kernel that unpacks itself boots to a shell, which takes what is typed",
  async () => {
    await using home = new HvshHome();
    await using process = home.start(debian("shell", "--unpack", "no"), "open");
    await process.until("hvsh-guest: up, 1 cpus");
    await process.until("# ");
    await process.send("echo $((6 * 7)) in the guest; poweroff -f\n");
    await process.until("42 in the guest");
    const { status, stderr } = await process.result();
    assert.deepEqual([status, stderr], [0, ""]);
  },
);

onNativeKvm("--timeout ends a boot with 124 and shows the console's last lines", async () => {
  await using home = new HvshHome();
  const { status, stdout, stderr } = await home.run([
    ...["run", "--timeout", "5", VMLINUZ, "--cmdline", "earlyprintk=serial root=/dev/vda rootwait"],
  ]);
  assert.equal(status, 124);
  const lines = stderr.split("\n");
  assert.deepEqual(lines.slice(0, 2), [
    "hvsh run: timeout after 5 s",
    "  the console's last lines:",
  ]);
  // Time is up within a line as well as between two, and even behind a blank of one: LastLines
  // shows lines without, and the ends of long ones.
  const last = stdout.split(/[\r\n]+/).map((line) => line.trimEnd().slice(-160))
    .filter((line) => line !== "").slice(-10);
  assert.deepEqual(lines.slice(2).filter((line) => line !== ""), last.map((line) => `  | ${line}`));
  assert.ok(last.length > 0);
});
