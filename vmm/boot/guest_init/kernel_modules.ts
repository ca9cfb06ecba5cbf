/**
 * A kernel's modules as they are installed: `modules.dep`, `modules.builtin`, and files that may be
 * compressed (kmod, depmod.d(5)).
 *
 * @module
 */
import { basename, join } from "node:path";
import { ImageError } from "../../../ffi/errors.ts";
import { decompress } from "../decompress.ts";
import { readImage } from "../read_image.ts";

/** More than any module has, with all its debugging information. */
const MOST_BYTES = 2 ** 28;
const SUFFIX = /\.ko(\.(gz|xz|zst))?$/;

/** Modules that are not part of the kernel's image. */
export interface ModuleTree {
  /** The folder, `/lib/modules/6.1.0-18-amd64`. */
  readonly folder: string;
  /** For each file in it those that it needs. */
  readonly needs: ReadonlyMap<string, readonly string[]>;
  /** Names of those that are built in. */
  readonly builtIn: ReadonlySet<string>;
}

/** A module to be loaded. */
export interface KernelModule {
  /** `virtio_pci` */
  readonly name: string;
  /** The ELF file. */
  readonly data: Uint8Array;
}

/**
 * Reads what a folder says of its modules.
 *
 * @param folder `lib/modules/VERSION` of some root
 * @returns Undefined if there are none: no modules.dep
 */
export async function readModuleTree(folder: string): Promise<ModuleTree | undefined> {
  const [needs, builtIn] = await Promise.all(
    ["modules.dep", "modules.builtin"].map((name) =>
      Deno.readTextFile(join(folder, name)).catch(() => undefined)
    ),
  );
  if (needs === undefined) return undefined;
  const names = (builtIn ?? "").split("\n").filter((line) => line !== "").map(moduleName);
  return { folder, needs: readDependencies(needs), builtIn: new Set(names) };
}

/**
 * Reads which modules a module needs.
 *
 * @param text modules.dep: lines `PATH: PATH…`
 * @returns What each path needs
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
 * @param needs What each path needs
 * @param wanted Names of modules; one that is not there is left out
 * @returns Paths, in the order of loading
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
  const paths = new Map([...needs.keys()].map((path) => [moduleName(path), path]));
  for (const name of wanted) {
    const path = paths.get(moduleName(name));
    if (path !== undefined) visit(path);
  }
  return [...order];
}

/**
 * The name of a module by its file's path: to the kernel, `-` and `_` are the same there.
 *
 * @param path `kernel/drivers/char/hw_random/virtio-rng.ko.xz`
 * @returns `virtio_rng`
 */
export function moduleName(path: string): string {
  return basename(path).replace(SUFFIX, "").replaceAll("-", "_");
}

/**
 * Reads modules and what they need in turn.
 *
 * @param tree Where they are
 * @param wanted Their names; those that are built in or not there are left out
 * @returns The modules, in the order of loading
 * @throws {ImageError} If a file cannot be read or unpacked
 */
export async function readModules(
  tree: ModuleTree,
  wanted: readonly string[],
): Promise<KernelModule[]> {
  return await Promise.all(
    loadOrder(tree.needs, wanted).map(async (path) => {
      const file = join(tree.folder, path);
      const { bytes } = await readImage(file, MOST_BYTES);
      const packed = !path.endsWith(".ko");
      const data = packed ? await decompress(bytes, { limit: MOST_BYTES, where: file }) : bytes;
      if (data[0] !== 0x7f) throw new ImageError(`${file}: it is no module`);
      return { name: moduleName(path), data };
    }),
  );
}
