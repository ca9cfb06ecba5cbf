/**
 * What the DSDT says of PCI: the host bridge with its windows and interrupts, and the slots that
 * come and go while the machine runs (`pci/host.ts` has the registers).
 *
 * @module
 */
import { Port } from "../board.ts";
import { intxGsi } from "../pci/intx.ts";
import type { Ecam } from "./acpi_tables.ts";
import { type Aml, device, eisaId, integer, name, packageOf, scope } from "./aml.ts";
import {
  and,
  arg0,
  arg1,
  call,
  local0,
  method,
  notify,
  portRegion,
  registers32,
  store,
  when,
} from "./aml_methods.ts";
import {
  busNumbers,
  io,
  ioWindow,
  memory32Fixed,
  memoryWindow,
  resourceTemplate,
} from "./aml_resources.ts";
import { sequence } from "./byte_sequence.ts";

/** The PCI host bridge. */
export interface PciRoot extends Ecam {
  /** Guest-physical ranges that BARs are put into. */
  readonly windows: readonly { readonly base: number; readonly size: number }[];
}

/** The general-purpose event that says that slots came or are to go. */
export const PCI_HOTPLUG_GPE = 1;

/** The slots that devices can be in; the host bridge has slot 0. */
const SLOTS = Array.from({ length: 31 }, (_, i) => i + 1);

/** Values of Notify for any device (ACPI 6.5 §5.6.6, table 5.185). */
const DEVICE_CHECK = 1;
const EJECT_REQUEST = 3;

/**
 * The host bridge, with a device for each slot.
 *
 * @param root Where it lies
 * @returns A device named `PCI0`, for the scope `\_SB`
 */
export function pciRoot({ buses, windows }: PciRoot): Aml {
  const { PCI_WINDOW, PCI_WINDOW_END } = Port;
  return device(
    "PCI0",
    name("_HID", eisaId("PNP0A08")), // PCI Express
    name("_CID", eisaId("PNP0A03")), // or any PCI
    name("_SEG", integer(0)),
    name("_BBN", integer(0)),
    name("_UID", integer(0)),
    name(
      "_CRS",
      resourceTemplate(
        busNumbers(buses),
        io(Port.PCI_CONFIG, 8), // the bridge's own configuration ports
        ioWindow(PCI_WINDOW, PCI_WINDOW_END - PCI_WINDOW),
        ...windows.map(({ base, size }) => memoryWindow(base, size)),
      ),
    ),
    name("_PRT", packageOf(...SLOTS.map(routeOf))),
    portRegion("HPRG", Port.PCI_HOTPLUG, 12),
    registers32("HPRG", "CAME", "TOGO", "EJCT"),
    ...SLOTS.map(slotDevice),
    notifySlots(),
    hotplugEvent(),
  );
}

/** §6.2.13: INTA of every function of a slot, at an input of the I/O APIC. */
function routeOf(slot: number): Aml {
  const INTA = 0;
  const noLinkDevice = integer(0);
  return packageOf(
    integer(slot * 0x1_0000 + 0xffff),
    integer(INTA),
    noLinkDevice,
    integer(intxGsi(slot)),
  );
}

function slotName(slot: number): string {
  return `S${slot.toString(16).toUpperCase().padStart(3, "0")}`;
}

/** Having `_EJ0`, it is one that a guest takes and lets go. `_SUN` is its number to a user. */
function slotDevice(slot: number): Aml {
  return device(
    slotName(slot),
    name("_ADR", integer(slot * 0x1_0000)),
    name("_SUN", integer(slot)),
    method("_EJ0", 1, store(integer(2 ** slot), nameOf("EJCT"))),
  );
}

/** Tells slots, bit n of the first argument for slot n, what the second one says. */
function notifySlots(): Aml {
  const tell = (slot: number) => when(and(arg0, integer(2 ** slot)), notify(slotName(slot), arg1));
  return method("NTFY", 2, ...SLOTS.map(tell));
}

function hotplugEvent(): Aml {
  return method(
    "HPEV",
    0,
    store(nameOf("CAME"), local0),
    store(local0, nameOf("CAME")), // clears what is told of now, and no other
    call("NTFY", local0, integer(DEVICE_CHECK)),
    call("NTFY", nameOf("TOGO"), integer(EJECT_REQUEST)),
  );
}

/** A name where a value or a target is wanted. */
function nameOf(path: string): Aml {
  return call(path);
}

/**
 * The handler of the event by which slots come and go, edge-triggered (§5.6.4.1).
 *
 * @returns A scope for the root of the namespace
 */
export function pciEvents(): Aml {
  const digits = PCI_HOTPLUG_GPE.toString(16).toUpperCase().padStart(2, "0");
  return scope("\\_GPE", method(`_E${digits}`, 0, call("\\_SB.PCI0.HPEV")));
}

/**
 * ECAM must be claimed by a device of the motherboard (PCI Firmware Specification 3.3 §4.1.2); so
 * are the registers of hot-plug.
 *
 * @param root Where it lies
 * @returns A device for the scope `\_SB`
 */
export function motherboard({ ecam, buses }: PciRoot): Aml {
  const size = buses * 0x10_0000;
  const claim = ecam + size <= 0x1_0000_0000 ? memory32Fixed(ecam, size) : memoryWindow(ecam, size);
  return device(
    "MBRD",
    name("_HID", eisaId("PNP0C02")),
    name("_CRS", resourceTemplate(sequence(claim, io(Port.PCI_HOTPLUG, 12)))),
  );
}
