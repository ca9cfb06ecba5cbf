/**
 * Everything between a document and a first instruction that isn't KVM's: images and tables put
 * into memory.
 *
 * @module
 */
import { basename } from "node:path";
import { DocumentError } from "../../ffi/errors.ts";
import { Address } from "../board.ts";
import type { StartState } from "../cpu/start_state.ts";
import type { DevicePlan } from "../device.ts";
import type { BootDocument, VmDocument } from "../document.ts";
import type { MachineMemory } from "../memory.ts";
import type { Span } from "../pci/base_address.ts";
import type { AcpiBoard } from "./acpi.ts";
import { bootKind, loadBoot } from "./load.ts";
import { readImage, readImages, readInitrd } from "./read_image.ts";

/** An option ROM's file, whose name in fw_cfg has 55 characters at most, `genroms/` among them. */
const ROM_NAME = /^[\w.-]{1,47}$/;

/**
 * Prepares a machine's memory.
 *
 * @param document What it is
 * @param memory Its memory, zero so far
 * @param devices Its devices
 * @param pciWindows Where PCI's BARs go; empty without a PCI bus
 * @returns How the first vCPU starts
 */
export async function prepareBoot(
  document: VmDocument,
  memory: MachineMemory,
  devices: readonly DevicePlan[],
  pciWindows: readonly Span[],
): Promise<StartState> {
  const { boot, cpus = 1 } = document;
  const kind = bootKind(boot);
  if (kind !== "flat" && memory.guest.find(0, Address.HIGH) < 0) {
    throw new DocumentError(`VM document, memory: a ${kind} image needs RAM from 0 to 1 MiB`, {
      hint: "hvsh create -m 256M",
    });
  }
  const generation = devices.find(({ type }) => type === "vmgenid")?.config.id;
  if (typeof generation === "string" && kind !== "flat") {
    memory.guest.write(Address.VM_GENERATION_ID, Uint8Array.fromHex(generation));
  }
  if (kind === "firmware") return await loadBoot(memory, boot, {}); // fw_cfg tells it
  const board = describeBoard(devices, pciWindows, cpus, false);
  let acpiRsdp: number | undefined;
  if (hasAcpi(document, kind)) {
    const { writeAcpiTables } = await import("./acpi.ts");
    acpiRsdp = writeAcpiTables(memory.guest, board);
  }
  if (document.mptable) {
    const { writeMpTable } = await import("./mp_table.ts");
    writeMpTable(memory.guest, { cpus });
  }
  return await loadBoot(memory, boot, {
    ...(acpiRsdp === undefined ? {} : { acpiRsdp }),
    ...(document.acpi === false ? { told: board.devices.virtioMmio ?? [] } : {}),
  });
}

/**
 * What fw_cfg hands out, where firmware boots. It stays as it is when the machine starts anew.
 *
 * @param document What the machine is
 * @param memory Its memory
 * @param devices Its devices
 * @param pciWindows Where PCI's BARs go
 * @returns The device's configuration; undefined where no firmware boots
 */
export async function prepareFwCfg(
  { boot, cpus = 1 }: VmDocument,
  memory: MachineMemory,
  devices: readonly DevicePlan[],
  pciWindows: readonly Span[],
): Promise<Readonly<Record<string, unknown>> | undefined> {
  if (boot?.firmware === undefined) return undefined;
  const acpi = describeBoard(devices, pciWindows, cpus, true);
  const [serial] = acpi.devices.serialPorts;
  const { firmwareItems } = await import("./firmware_config.ts");
  const items = firmwareItems({
    ...{ cpus, memory: memory.guest, acpi, roms: await readRoms(boot) },
    ...(serial === undefined ? {} : { serialConsole: serial.port }),
    ...(boot.kernel === undefined ? {} : { items: await kernelForFirmware(boot, memory) }),
  });
  return { ...items };
}

/** The kernel that firmware finds in fw_cfg. */
async function kernelForFirmware(boot: BootDocument, { guest }: MachineMemory) {
  const { path, entry } = boot.kernel!;
  if (entry !== undefined) {
    throw new DocumentError("VM document, boot.kernel.entry: the firmware starts the kernel", {
      hint: "leave out `--entry`, or the firmware",
    });
  }
  const [image, initrd] = await Promise.all([readImage(path), readInitrd(boot.initrd ?? [])]);
  const { kernelItems } = await import("./firmware_kernel.ts");
  const { kernelCmdline } = await import("./linux_cmdline.ts");
  const high = guest.regions[guest.find(Address.HIGH, 1)];
  if (high === undefined) {
    throw new DocumentError("VM document, memory: a kernel behind firmware needs RAM above 1 MiB", {
      hint: "hvsh create -m 256M",
    });
  }
  return kernelItems({
    image: image.bytes,
    ...(initrd === undefined ? {} : { initrd: initrd.bytes }),
    cmdline: kernelCmdline(image, boot.cmdline),
    lowRamEnd: high.base + high.buffer.byteLength,
  });
}

async function readRoms({ firmware }: BootDocument) {
  const images = await readImages(firmware!.roms ?? []);
  const roms = images.map(({ path, bytes }) => ({ name: basename(path), data: bytes }));
  for (const [i, { name }] of roms.entries()) {
    if (ROM_NAME.test(name) && roms.findIndex((rom) => rom.name === name) === i) continue;
    throw new DocumentError(
      `VM document, boot.firmware.roms[${i}]: fw_cfg has no place for the name ${name}`,
      { hint: "each wants a name of its own, of up to 47 letters, digits and . _ -" },
    );
  }
  return roms;
}

/**
 * Whether a guest is told of its board by ACPI tables.
 *
 * @param document What the machine is
 * @param kind What boots
 */
export function hasAcpi(document: VmDocument, kind: ReturnType<typeof bootKind>): boolean {
  if (kind === "firmware") return true;
  return document.acpi !== false && (kind === "kernel" || kind === "multiboot");
}

/** The devices that a guest can't find by looking, for ACPI. */
function describeBoard(
  devices: readonly DevicePlan[],
  windows: readonly Span[],
  cpus: number,
  fwCfg: boolean,
): AcpiBoard {
  const has = (type: string) => devices.some((device) => device.type === type);
  const serialPorts = devices.filter(({ type }) => type === "serial").map(({ config }) => ({
    port: config.port as number,
    irq: config.irq as number,
  }));
  const virtioMmio = devices.filter(({ transport }) => transport === "mmio")
    .map(({ config }) => config.mmio as { base: number; irq: number });
  return {
    cpus,
    ...(has("watchdog") ? { watchdog: true } : {}),
    ...(windows.length === 0 ? {} : { pci: { ecam: Address.ECAM, buses: 1, windows } }),
    devices: {
      serialPorts,
      i8042: has("i8042"),
      rtc: has("rtc"),
      pvpanic: has("pvpanic"),
      generationId: has("vmgenid"),
      fwCfg,
      virtioMmio,
    },
  };
}
