/** Modules of the guests' kernel, packed for a first file system that loads them with insmod. */
import { basename, join } from "node:path";
import { SetupError } from "./apt.ts";
import type { CpioEntry } from "./cpio.ts";

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

/**
 * Reads which modules a module needs.
 *
 * @param text modules.dep: lines `PATH: PATH…`, each path once before a colon
 * @returns what each path needs
 */
export function readDependencies(text: string): Map<string, string[]> {
  const needs = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [path, rest] = line.split(":");
    if (path && rest !== undefined) needs.set(path, rest.split(" ").filter(Boolean));
  }
  return needs;
}

/**
 * Puts modules behind those that they need.
 *
 * @param needs what each path needs
 * @param wanted names of modules
 * @returns paths, in the order of loading
 * @throws {SetupError} if the kernel has no such module
 */
export function loadOrder(
  needs: ReadonlyMap<string, readonly string[]>,
  wanted: readonly string[],
): string[] {
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
    if (path === undefined) throw new SetupError(`The guest kernel has no module ${name}.ko`);
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
