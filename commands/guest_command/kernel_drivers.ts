/**
 * The drivers that a guest needs for what it is given, where they are modules of its kernel.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { ImageError } from "../../ffi/errors.ts";
import {
  type KernelModule,
  type ModuleTree,
  readModules,
  readModuleTree,
} from "../../vmm/boot/guest_init/kernel_modules.ts";
import { kernelVersion } from "../../vmm/boot/guest_init/kernel_version.ts";
import { readImage } from "../../vmm/boot/read_image.ts";
import type { DeviceEntry } from "../../vmm/document.ts";

/** What the root and the streams go by. */
const ALWAYS = ["virtio_pci", "virtiofs", "virtio_console"];

/** By the type of a document's device. */
const DRIVERS: Readonly<Record<string, string>> = {
  disk: "virtio_blk",
  net: "virtio_net",
  rng: "virtio_rng",
  balloon: "virtio_balloon",
  vsock: "vmw_vsock_virtio_transport",
  watchdog: "wdat_wdt",
};

/** A kernel's modules. */
export interface KernelDrivers {
  /** What `uname -r` says; undefined if the image does not tell. */
  readonly version: string | undefined;
  /** In the order of loading. */
  readonly modules: readonly KernelModule[];
  /** Where modules were looked for, if there are none. */
  readonly missedIn: readonly string[];
}

/**
 * Finds the modules that a guest wants.
 *
 * @param kernel The kernel's image
 * @param devices The document's devices
 * @param folder Where the person says that its modules are
 * @returns The modules; none where no folder has the kernel's, which may have all built in
 * @throws {ImageError} If the image or a module is damaged, or the person's folder has no modules
 */
export async function kernelDrivers(
  kernel: string,
  devices: readonly DeviceEntry[],
  folder: string | undefined,
): Promise<KernelDrivers> {
  const version = kernelVersion(await readImage(kernel));
  const places = folder === undefined ? placesOf(kernel, version) : below(folder, version);
  let tree: ModuleTree | undefined;
  for (const place of places) tree ??= await readModuleTree(place);
  if (tree === undefined) {
    if (folder === undefined) return { version, modules: [], missedIn: places };
    throw new ImageError(`There are no modules in ${folder}: no modules.dep`, {
      hint: `a folder such as /lib/modules/${version ?? "$(uname -r)"}, or a root with that in it`,
    });
  }
  const wanted = new Set(ALWAYS);
  for (const { type, transport } of devices) {
    if (DRIVERS[type] !== undefined) wanted.add(DRIVERS[type]);
    if (transport === "mmio") wanted.add("virtio_mmio");
  }
  return { version, modules: await readModules(tree, [...wanted]), missedIn: [] };
}

/** Beside the kernel, as packages and distributions have them; then this host's own. */
function placesOf(kernel: string, version: string | undefined): string[] {
  const folder = dirname(kernel);
  const roots = [dirname(folder), folder, "/"];
  return [...new Set([folder, ...roots.flatMap((root) => below(root, version).slice(1))])];
}

function below(folder: string, version: string | undefined): string[] {
  if (version === undefined) return [folder];
  return [folder, join(folder, "lib/modules", version), join(folder, "usr/lib/modules", version)];
}
