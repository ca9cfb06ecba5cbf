import assert from "node:assert/strict";
import { join } from "node:path";
import { guestPath } from "../../scripts/setup/guests.ts";
import { GUEST_SHELL, LinuxGuest } from "../linux_guest.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

/** What the root file system starts: file names come and go while numbered blocks are flushed. */
const INIT = `#!/bin/busybox sh
b=/bin/busybox
${GUEST_SHELL}
say root $($b awk '$2 == "/" { print $3, substr($4, 1, 2) }' /proc/mounts)
while :; do $b cp /bin/busybox /come; $b mv /come /go; done &
say writing
exec /bin/probe write-blocks /blocks
`;

/** Numbers that are written before the plug is pulled. */
const NUMBERS = 40;
const BLOCK_WORDS = 1024;

/** Runs a program of the host; its status and what it said. */
async function tool(...[program, ...args]: [string, ...string[]]) {
  const { code, stdout, stderr } = await new Deno.Command(program, { args }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, said: text(stdout) + text(stderr) };
}

/** An ext4 file system with what a guest's root needs. */
async function rootDisk(home: HvshHome): Promise<string> {
  const tree = join(home.folder, "tree");
  for (const folder of ["bin", "sbin", "dev", "proc", "sys"]) {
    await Deno.mkdir(join(tree, folder), { recursive: true });
  }
  await Deno.copyFile(guestPath("busybox"), join(tree, "bin/busybox"));
  await Deno.copyFile(guestPath("probe"), join(tree, "bin/probe"));
  await Deno.writeTextFile(join(tree, "sbin/init"), INIT, { mode: 0o755 });
  const disk = join(home.folder, "root.img");
  const { code, said } = await tool("mkfs.ext4", "-q", "-d", tree, disk, "24M");
  assert.equal(code, 0, said);
  return disk;
}

/** The lines with which the guest says that a block is on the disk. */
function flushed(console: string): number[] {
  return [...console.matchAll(/^(\d+)\r\n/gm)].map((match) => Number(match[1]));
}

onNativeKvm(
  "a guest on an ext4 root disk that is killed in the middle of flushed writes has lost none of them",
  async () => {
    await using home = new HvshHome();
    const disk = await rootDisk(home);
    await using guest = LinuxGuest.startRoot(home, ["-n", "web", "--disk", disk]);
    await guest.until((console) => flushed(console).length > NUMBERS);
    assert.equal((await home.run(["kill", "web"])).status, 0);
    const said = await guest.ended(137);
    assert.equal(said.one("root"), "ext4 rw");

    const numbers = flushed(guest.console);
    assert.deepEqual(numbers, [...numbers.keys()]);
    const repaired = await tool("e2fsck", "-p", disk);
    assert.equal(repaired.code, 0, repaired.said);
    assert.match(repaired.said, /recovering journal/);
    const checked = await tool("e2fsck", "-f", "-n", disk);
    assert.equal(checked.code, 0, checked.said);
    const blocks = join(home.folder, "blocks");
    await tool("debugfs", "-R", `dump /blocks ${blocks}`, disk);
    const words = new Uint32Array((await Deno.readFile(blocks)).buffer);
    for (const number of numbers) {
      const block = words.subarray(number * BLOCK_WORDS, (number + 1) * BLOCK_WORDS);
      assert.ok(
        block.length === BLOCK_WORDS && block.every((word) => word === number),
        `The guest flushed block ${number} of ${numbers.length}, and it is not on the disk`,
      );
    }
  },
  ["mkfs.ext4", "e2fsck", "debugfs"],
);
