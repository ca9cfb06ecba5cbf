/**
 * Puts what a document boots into guest memory.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import type { StartState } from "../cpu/start_state.ts";
import type { BootDocument } from "../document.ts";
import type { MachineMemory } from "../memory.ts";
import { loadFlat } from "./flat.ts";
import { readImage, readImages, readInitrd } from "./read_image.ts";
import type { ToldDevice } from "./linux_cmdline.ts";

/** What loaders are told beside the document. */
export interface LoadFacts {
  /** Guest-physical address of the ACPI RSDP, if there is one. */
  readonly acpiRsdp?: number;
  /** Devices that Linux is told of on its command line. */
  readonly told?: readonly ToldDevice[];
}

/** The keys of `boot` of which one alone can start; but firmware starts before its kernel. */
const STARTS = ["kernel", "flat", "multiboot", "firmware"] as const;

/**
 * The one thing that a document boots, at first.
 *
 * @param boot The document's `boot`
 * @returns Its key
 * @throws {DocumentError} If there is none, or more than one
 */
export function bootKind(boot: BootDocument | undefined): typeof STARTS[number] {
  const handed = boot?.firmware === undefined ? undefined : "kernel";
  const given = STARTS.filter((key) => key !== handed && boot?.[key] !== undefined);
  const [kind, other] = given;
  if (kind === undefined) {
    throw new DocumentError("VM document, boot: there is nothing to boot", {
      hint: "add an image: `hvsh kernel`, `flat`, `multiboot` or `firmware`",
    });
  }
  if (other !== undefined) {
    throw new DocumentError(`VM document, boot: ${kind} and ${other} cannot both start`);
  }
  return kind;
}

/**
 * Loads what a document boots.
 *
 * @param memory The guest's memory, zero so far
 * @param boot The document's `boot`
 * @param facts What loaders are told beside it
 * @returns How the first vCPU starts
 * @throws {DocumentError} If the document boots nothing, or two things
 * @throws {ImageError} If an image is not what it says it is, or has no room
 */
export async function loadBoot(
  memory: MachineMemory,
  boot: BootDocument | undefined,
  facts: LoadFacts,
): Promise<StartState> {
  switch (bootKind(boot)) {
    case "kernel":
      return await loadKernel(memory, boot!, facts);
    case "flat":
      return await loadFlatImages(memory, boot!.flat!);
    case "multiboot":
      return await loadMultibootKernel(memory, boot!);
    case "firmware": {
      const { firmwareRegion, loadFirmware } = await import("./firmware.ts");
      const image = await readImage(boot!.firmware!.path);
      const { base, size } = firmwareRegion(image);
      memory.addRom(base, size, "boot.firmware");
      return loadFirmware(memory.guest, image);
    }
  }
}

async function loadKernel(
  memory: MachineMemory,
  { kernel, initrd, cmdline }: BootDocument,
  { acpiRsdp, told }: LoadFacts,
): Promise<StartState> {
  const { path, unpack, entry } = kernel!;
  const [image, disk] = await Promise.all([readImage(path), readInitrd(initrd ?? [])]);
  const { loadLinux } = await import("./linux.ts");
  const { kernelCmdline } = await import("./linux_cmdline.ts");
  return await loadLinux(memory.guest, image, {
    cmdline: kernelCmdline(image, cmdline, told),
    ...(disk === undefined ? {} : { initrd: disk }),
    ...(unpack === undefined ? {} : { unpack }),
    ...(entry === undefined ? {} : { entry }),
    ...(acpiRsdp === undefined ? {} : { acpiRsdp }),
  });
}

async function loadFlatImages(
  memory: MachineMemory,
  { images, mode, entry }: NonNullable<BootDocument["flat"]>,
): Promise<StartState> {
  const paths = images.flatMap(({ path, data }, i) => {
    if (data !== undefined) return [];
    if (path !== undefined) return [path];
    throw new DocumentError(`VM document, boot.flat.images[${i}]: it has no "path" and no "data"`);
  });
  const files = await readImages(paths);
  const read = images.map(({ path = "flat image", data, base }) => {
    const image = data === undefined
      ? files.shift()!
      : { path, bytes: Uint8Array.fromBase64(data) };
    return { ...image, ...(base === undefined ? {} : { base }) };
  });
  return loadFlat(memory.guest, read, {
    ...(mode === undefined ? {} : { mode }),
    ...(entry === undefined ? {} : { entry }),
  });
}

async function loadMultibootKernel(
  memory: MachineMemory,
  { multiboot, cmdline }: BootDocument,
): Promise<StartState> {
  const { path, modules = [] } = multiboot!;
  const [image, ...files] = await readImages([path, ...modules.map((module) => module.path)]);
  const loaded = files.map((file, i) => {
    const { cmdline } = modules[i]!;
    return { ...file, ...(cmdline === undefined ? {} : { cmdline }) };
  });
  const { loadMultiboot } = await import("./multiboot.ts");
  return await loadMultiboot(memory.guest, image!, {
    modules: loaded,
    ...(cmdline === undefined ? {} : { cmdline }),
  });
}
