/** The emulated host's root: busybox, the modules that make /dev/kvm, and its init. */
import { cpio, type CpioEntry } from "../../vmm/boot/cpio.ts";
import { guestPath } from "../setup/guests.ts";
import { packModules } from "../setup/kernel_modules.ts";

/** What makes the disks, the ports, /dev/kvm, /dev/net/tun and a network card that leads nowhere. */
const MODULES = ["virtio_pci", "virtio_blk", "virtio_console", "kvm-amd", "tun", "dummy"];

const FOLDERS = ["dev", "proc", "sys", "tmp", "run", "root", "bin", "etc", "opt"]
  .concat("opt/host", "opt/material", "opt/project", "usr", "lib", "lib/modules", "var");

const LINKS = {
  sbin: "bin",
  "usr/bin": "../bin",
  "usr/sbin": "../bin",
  "bin/sh": "busybox",
  "var/run": "../run",
  "var/tmp": "../tmp",
};

const FILES = {
  // passt becomes nobody where root starts it.
  "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
  "etc/group": "root:x:0:\nnogroup:x:65534:\n",
  "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
};

/**
 * Builds the initramfs.
 *
 * @param links symbolic links to libraries, and the folders they are in
 * @returns the cpio archive
 * @throws {SetupError} if the kernel's modules are not all there
 */
export async function initrd(links: CpioEntry[]): Promise<Uint8Array> {
  const text = (words: string) => new TextEncoder().encode(words);
  const entries: CpioEntry[] = FOLDERS.map((path) => ({ path, type: "directory" }));
  entries.push({ path: "dev/console", type: "device", major: 5, minor: 1 });
  const taken = new Set(FOLDERS);
  entries.push(...links.filter((entry) => !taken.has(entry.path)));
  for (const [path, target] of Object.entries(LINKS)) {
    entries.push({ path, type: "symlink", target });
  }
  for (const [path, data] of Object.entries(FILES)) {
    entries.push({ path, type: "file", data: text(data) });
  }
  const busybox = await Deno.readFile(guestPath("busybox"));
  entries.push({ path: "bin/busybox", type: "file", data: busybox, mode: 0o755 });
  entries.push(...await packModules(guestPath("modules"), MODULES));
  const init = await Deno.readFile(new URL("./init.sh", import.meta.url));
  entries.push({ path: "init", type: "file", data: init, mode: 0o755 });
  return cpio(entries);
}
