/**
 * The DSDT: the namespace that tells a guest of the devices it can't find by looking, and how to
 * turn itself off.
 *
 * @module
 */
import { Acpi, Address, Irq, Port } from "../board.ts";
import { table } from "./acpi_tables.ts";
import { type Aml, device, eisaId, integer, name, packageOf, scope, string } from "./aml.ts";
import { method, notify } from "./aml_methods.ts";
import { interrupt, io, irq, memory32Fixed, resourceTemplate } from "./aml_resources.ts";
import { sequence } from "./byte_sequence.ts";
import { motherboard, pciEvents, type PciRoot, pciRoot } from "./dsdt_pci.ts";

/** What the namespace describes. */
export interface DsdtDevices {
  /** How many processors. */
  readonly cpus: number;
  /** The PC's serial ports, in the order of their names (COM1 first). */
  readonly serialPorts: readonly { readonly port: number; readonly irq: number }[];
  /** Whether there is a keyboard controller. */
  readonly i8042: boolean;
  /** Whether there is a CMOS RTC. */
  readonly rtc: boolean;
  /** Whether there is a pvpanic port. */
  readonly pvpanic: boolean;
  /** Whether there is a generation ID. */
  readonly generationId?: boolean;
  /** Whether there is a fw_cfg port. */
  readonly fwCfg: boolean;
  /** The PCI host bridge, if there is one. */
  readonly pci?: PciRoot;
  /** The virtio devices that are not on PCI: where each lies, and its interrupt's GSI. */
  readonly virtioMmio?: readonly { readonly base: number; readonly irq: number }[];
}

/** `_STA` of a device that works but is not shown to the user (ACPI 6.5 §6.3.7). */
const PRESENT_HIDDEN = 0x0b;
const VIRTIO_MMIO_SIZE = 0x1000;

/**
 * DSDT (§5.2.11.1). Its revision 2 makes integers 64 bits wide.
 *
 * @param devices What is on the board
 * @returns The table
 */
export function dsdt(devices: DsdtDevices): Uint8Array<ArrayBuffer> {
  const slpTyp = integer(Acpi.S5_SLP_TYP);
  const body = sequence(
    // §7.4.2: SLP_TYPa, SLP_TYPb, two reserved.
    name("\\_S5", packageOf(slpTyp, slpTyp, integer(0), integer(0))),
    scope(
      "\\_SB",
      ...Array.from({ length: devices.cpus }, (_, id) => processor(id)),
      ...devices.serialPorts.map(serialPort),
      ...(devices.i8042 ? [keyboard()] : []),
      ...(devices.rtc ? [rtc()] : []),
      ...(devices.pvpanic ? [pvpanic()] : []),
      ...(devices.generationId ? [generationId()] : []),
      ...(devices.fwCfg ? [fwCfg()] : []),
      ...(devices.virtioMmio ?? []).map(virtioMmio),
      ...(devices.pci ? [pciRoot(devices.pci), motherboard(devices.pci)] : []),
    ),
    ...(devices.pci ? [pciEvents()] : []),
    ...(devices.generationId ? [generationEvent()] : []),
  );
  return table("DSDT", 2, body);
}

/** §8.4: `_UID` is the ACPI Processor UID of the MADT. */
function processor(id: number): Aml {
  const hex = id.toString(16).toUpperCase().padStart(3, "0");
  return device(`C${hex}`, name("_HID", string("ACPI0007")), name("_UID", integer(id)));
}

function serialPort(serial: { port: number; irq: number }, index: number): Aml {
  return device(
    `COM${index + 1}`,
    name("_HID", eisaId("PNP0501")),
    name("_UID", integer(index + 1)),
    name("_CRS", resourceTemplate(io(serial.port, 8), irq(serial.irq))),
  );
}

function keyboard(): Aml {
  const { I8042 } = Port;
  return device(
    "KBD",
    name("_HID", eisaId("PNP0303")),
    name("_CRS", resourceTemplate(io(I8042, 1), io(I8042 + 4, 1), irq(Irq.KEYBOARD))),
  );
}

function rtc(): Aml {
  return device(
    "RTC",
    name("_HID", eisaId("PNP0B00")),
    name("_CRS", resourceTemplate(io(Port.RTC, 2), irq(Irq.RTC))),
  );
}

/** QEMU docs/specs/pvpanic.rst, "ACPI interface". */
function pvpanic(): Aml {
  return device(
    "PEVT",
    name("_HID", string("QEMU0001")),
    name("_STA", integer(PRESENT_HIDDEN)),
    name("_CRS", resourceTemplate(io(Port.PVPANIC, 1))),
  );
}

/**
 * Microsoft's specification names `_CID` and `_DDN`, and `ADDR`, the ID's address in halves. Linux knows
 * it by the shorter name (drivers/virt/vmgenid.c).
 */
function generationId(): Aml {
  const { VM_GENERATION_ID } = Address;
  return device(
    "VGEN",
    name("_HID", string("QEMUVGID")),
    name("_CID", packageOf(string("VM_Gen_Counter"), string("VMGENCTR"))),
    name("_DDN", string("VM_Gen_Counter")),
    name("ADDR", packageOf(integer(VM_GENERATION_ID % 2 ** 32), integer(0))),
  );
}

/** Notify with 0x80: the ID is another. The event is edge-triggered (ACPI 6.5 §5.6.4.1). */
function generationEvent(): Aml {
  const digits = Acpi.GENERATION_GPE.toString(16).toUpperCase().padStart(2, "0");
  return scope("\\_GPE", method(`_E${digits}`, 0, notify("\\_SB.VGEN", integer(0x80))));
}

/** QEMU docs/specs/fw_cfg.rst: selector, data and the DMA address, from 0x510 to 0x51b. */
function fwCfg(): Aml {
  return device(
    "FWCF",
    name("_HID", string("QEMU0002")),
    name("_STA", integer(PRESENT_HIDDEN)),
    name("_CRS", resourceTemplate(io(Port.FW_CFG, Port.FW_CFG_DMA + 8 - Port.FW_CFG))),
  );
}

/** The identifier that Linux's `virtio_mmio` driver knows, and each device's registers in a page. */
function virtioMmio({ base, irq }: { base: number; irq: number }, index: number): Aml {
  const hex = index.toString(16).toUpperCase().padStart(3, "0");
  return device(
    `V${hex}`,
    name("_HID", string("LNRO0005")),
    name("_UID", integer(index)),
    name("_CCA", integer(1)), // §6.2.17: its DMA is coherent
    name("_CRS", resourceTemplate(memory32Fixed(base, VIRTIO_MMIO_SIZE), interrupt(irq))),
  );
}
