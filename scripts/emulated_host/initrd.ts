/** The emulated host's root: busybox, the modules that make /dev/kvm, and its init. */
import { join } from "node:path";
import { cpio, type CpioEntry } from "../setup/cpio.ts";
import { guestPath } from "../setup/guests.ts";
import { Failure } from "./failure.ts";

/** In the order of loading: one that needs another comes after it. */
const MODULES = [
  "virtio_ring",
  "virtio",
  "virtio_pci_modern_dev",
  "virtio_pci_legacy_dev",
  "virtio_pci",
  "virtio_blk",
  "virtio_console",
  "irqbypass",
  "kvm",
  "kvm-amd",
];

const FOLDERS = ["dev", "proc", "sys", "tmp", "run", "root", "bin", "etc", "modules", "opt"]
  .concat("opt/host", "opt/material", "usr", "lib", "lib/modules");

const LINKS = { sbin: "bin", "usr/bin": "../bin", "usr/sbin": "../bin", "bin/sh": "busybox" };

const FILES = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
  "etc/group": "root:x:0:\n",
  "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
  "modules/order": MODULES.join("\n") + "\n",
};

/**
 * Builds the initramfs.
 *
 * @param links symbolic links to libraries, and the folders they are in
 * @returns the cpio archive
 * @throws {Failure} if the kernel's modules are not all there
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
  const files = await moduleFiles(guestPath("modules"));
  for (const name of MODULES) {
    const file = files.get(`${name}.ko`);
    if (file === undefined) throw new Failure(`The kernel has no module ${name}.ko`);
    const data = unsigned(await Deno.readFile(file));
    entries.push({ path: `modules/${name}.ko`, type: "file", data });
  }
  const init = await Deno.readFile(new URL("./init.sh", import.meta.url));
  entries.push({ path: "init", type: "file", data: init, mode: 0o755 });
  return cpio(entries);
}

async function moduleFiles(folder: string, files = new Map<string, string>()) {
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) await moduleFiles(path, files);
    else files.set(entry.name, path);
  }
  return files;
}

const SIGNATURE_END = "~Module signature appended~\n";

/**
 * A module without its signature, which Linux then does not check: RSA is slow under emulation.
 * Behind the ELF file come the signature, `struct module_signature` (12 bytes, the last four its
 * length, big-endian) and the mark (Linux, include/linux/module_signature.h).
 */
function unsigned(file: Uint8Array): Uint8Array {
  const end = file.length - SIGNATURE_END.length;
  if (new TextDecoder().decode(file.subarray(end)) !== SIGNATURE_END) return file;
  const length = new DataView(file.buffer, file.byteOffset).getUint32(end - 4);
  return file.subarray(0, end - 12 - length);
}
