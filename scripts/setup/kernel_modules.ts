/** Modules of the guests' kernel, packed for a first file system that loads them with insmod. */
import { basename, join } from "node:path";
import type { CpioEntry } from "../../vmm/boot/cpio.ts";
import {
  loadOrder,
  moduleName,
  readDependencies,
} from "../../vmm/boot/guest_init/kernel_modules.ts";
import { SetupError } from "./apt.ts";

/**
 * Reads modules and what they need in turn.
 *
 * @param folder the kernel's lib/modules/VERSION, with modules.dep and uncompressed modules
 * @param wanted names of modules
 * @returns the folder `modules` for a cpio archive: the modules, for insmod a file `order` with their
 * names in the order of loading, each on a line, and for modprobe a modules.dep
 * @throws {SetupError} if the kernel has no such module
 */
export async function packModules(
  folder: string,
  wanted: readonly string[],
): Promise<CpioEntry[]> {
  const needs = readDependencies(await Deno.readTextFile(join(folder, "modules.dep")));
  const there = new Set([...needs.keys()].map(moduleName));
  const missing = wanted.find((name) => !there.has(moduleName(name)));
  if (missing !== undefined) throw new SetupError(`The guest kernel has no module ${missing}.ko`);
  const modules = loadOrder(needs, wanted);
  const entries: CpioEntry[] = [{ path: "modules", type: "directory" }];
  for (const module of modules) {
    const data = unsigned(await Deno.readFile(join(folder, module)));
    entries.push({ path: `modules/${basename(module)}`, type: "file", data });
  }
  const list = (name: string, lines: string[]) => {
    const data = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
    entries.push({ path: `modules/${name}`, type: "file", data });
  };
  list("order", modules.map((path) => basename(path)));
  list(
    "modules.dep",
    modules.map((path) => {
      const names = (needs.get(path) ?? []).map((need) => ` ${basename(need)}`);
      return `${basename(path)}:${names.join("")}`;
    }),
  );
  return entries;
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
