/**
 * Everything between a document and a first instruction that isn't KVM's: images and tables put
 * into memory, and the list of devices that follows from what boots.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import { Address } from "../board.ts";
import type { StartState } from "../cpu/start_state.ts";
import type { DevicePlan } from "../device.ts";
import { planDevices } from "../devices/plan.ts";
import type { VmDocument } from "../document.ts";
import type { MachineMemory } from "../memory.ts";
import type { AcpiBoard } from "./acpi.ts";
import { bootKind, loadBoot } from "./load.ts";

/** What a machine starts from. */
export interface PreparedBoot {
  /** How the first vCPU starts. */
  readonly start: StartState;
  /** The machine's devices. */
  readonly devices: DevicePlan[];
}

/** Whether what a document boots expects interrupt controllers and a timer. */
export function wantsIrqchip({ boot, cpus = 1, irqchip }: VmDocument): boolean {
  return irqchip ?? (cpus > 1 || bootKind(boot) !== "flat");
}

/**
 * Prepares a machine's memory and devices.
 *
 * @param document What it is
 * @param memory Its memory, zero so far
 * @returns What to start from
 */
export async function prepareBoot(
  document: VmDocument,
  memory: MachineMemory,
): Promise<PreparedBoot> {
  const { boot, cpus = 1 } = document;
  const kind = bootKind(boot);
  const plan = (fwCfg?: Readonly<Record<string, unknown>>) =>
    planDevices(document.devices ?? [], {
      rtc: { ...memorySizes(memory), cpus },
      firmware: kind === "firmware",
      testDevice: kind === "multiboot",
      ...(fwCfg === undefined ? {} : { fwCfg }),
    });
  let devices = plan();
  const board = describeBoard(devices, cpus, kind === "firmware");

  if (kind !== "flat" && memory.guest.find(0, Address.HIGH) < 0) {
    throw new DocumentError(`VM document, memory: a ${kind} image needs RAM from 0 to 1 MiB`, {
      hint: "hvsh create -m 256M",
    });
  }
  let acpiRsdp: number | undefined;
  if (kind === "kernel" || kind === "multiboot") {
    const { writeAcpiTables } = await import("./acpi.ts");
    acpiRsdp = writeAcpiTables(memory.guest, board);
  }
  if (document.mptable && kind !== "firmware") {
    const { writeMpTable } = await import("./mp_table.ts");
    writeMpTable(memory.guest, { cpus });
  }
  const start = await loadBoot(memory, boot, acpiRsdp === undefined ? {} : { acpiRsdp });
  if (kind === "firmware") {
    const { firmwareItems } = await import("./firmware_config.ts");
    devices = plan({ ...firmwareItems({ cpus, memory: memory.guest, acpi: board }) });
  }
  return { start, devices };
}

/** The devices that a guest can't find by looking, for ACPI. */
function describeBoard(devices: readonly DevicePlan[], cpus: number, fwCfg: boolean): AcpiBoard {
  const has = (type: string) => devices.some((device) => device.type === type);
  const serialPorts = devices.filter(({ type }) => type === "serial").map(({ config }) => ({
    port: config.port as number,
    irq: config.irq as number,
  }));
  return {
    cpus,
    devices: { serialPorts, i8042: has("i8042"), rtc: has("rtc"), pvpanic: has("pvpanic"), fwCfg },
  };
}

function memorySizes({ slots }: MachineMemory): { lowMemory: number; highMemory: number } {
  const sum = (high: boolean) =>
    slots.reduce((n, s) => n + (s.ram && (s.base >= Address.FOUR_GIB) === high ? s.size : 0), 0);
  return { lowMemory: sum(false), highMemory: sum(true) };
}
