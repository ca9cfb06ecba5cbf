/** The emulated host's root: busybox, the modules that make /dev/kvm, and its init. */
import { basename, join } from "node:path";
import { cpio, type CpioEntry } from "../setup/cpio.ts";
import { guestPath } from "../setup/guests.ts";
import { Failure } from "./failure.ts";

/** What makes the disks, the ports and /dev/kvm; what they need in turn comes from modules.dep. */
const MODULES = ["virtio_pci", "virtio_blk", "virtio_console", "kvm-amd"];

const FOLDERS = ["dev", "proc", "sys", "tmp", "run", "root", "bin", "etc", "modules", "opt"]
  .concat("opt/host", "opt/material", "opt/project", "usr", "lib", "lib/modules");

const LINKS = { sbin: "bin", "usr/bin": "../bin", "usr/sbin": "../bin", "bin/sh": "busybox" };

const FILES = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
  "etc/group": "root:x:0:\n",
  "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
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
  const modules = loadOrder(await Deno.readTextFile(join(guestPath("modules"), "modules.dep")));
  for (const module of modules) {
    const data = unsigned(await Deno.readFile(join(guestPath("modules"), module)));
    entries.push({ path: `modules/${basename(module)}`, type: "file", data });
  }
  const order = modules.map((module) => basename(module) + "\n").join("");
  entries.push({ path: "modules/order", type: "file", data: text(order) });
  const init = await Deno.readFile(new URL("./init.sh", import.meta.url));
  entries.push({ path: "init", type: "file", data: init, mode: 0o755 });
  return cpio(entries);
}

/**
 * Puts modules behind those that they need.
 *
 * @param dependencies the text of modules.dep: lines `PATH: PATH…`, each path once before a colon
 * @param wanted names of modules
 * @returns paths, in the order of loading
 * @throws {Failure} if the kernel has no such module
 */
export function loadOrder(dependencies: string, wanted: string[] = MODULES): string[] {
  const needs = new Map<string, string[]>();
  for (const line of dependencies.split("\n")) {
    const [path, rest] = line.split(":");
    if (path && rest !== undefined) needs.set(path, rest.split(" ").filter(Boolean));
  }
  const order = new Set<string>();
  const visiting = new Set<string>();
  const visit = (path: string) => {
    if (visiting.has(path)) return; // done, or a loop in a file that should have none
    visiting.add(path);
    for (const need of needs.get(path) ?? []) visit(need);
    order.add(path);
  };
  for (const name of wanted) {
    const path = [...needs.keys()].find((path) => basename(path) === `${name}.ko`);
    if (path === undefined) throw new Failure(`The guest kernel has no module ${name}.ko`);
    visit(path);
  }
  return [...order];
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
