/**
 * WDAT, the watchdog action table (Microsoft, "Hardware Watchdog Timers Design Specification" 1.01):
 * what a guest's driver does with the registers of `vmm/devices/watchdog.ts`.
 *
 * @module
 */
import { struct, u16, u32, u8 } from "../../ffi/struct.ts";
import { Port } from "../board.ts";
import {
  WATCHDOG_EXPIRED,
  WatchdogControl,
  WatchdogRegister,
  WatchdogTime,
} from "../devices/watchdog.ts";
import { Header, table } from "./acpi_tables.ts";
import { type Bytes, sequence } from "./byte_sequence.ts";
import { GenericAddress } from "./fadt.ts";

/** The table's own header, with the one of every table; ACPICA's names. */
export const Wdat = struct("acpi_table_wdat", {
  header: Header,
  header_length: u32,
  pci_segment: u16,
  pci_bus: u8,
  pci_device: u8,
  pci_function: u8,
  reserved: u8,
  reserved1: u16,
  timer_period: u32,
  max_count: u32,
  min_count: u32,
  flags: u8,
  reserved2: u8,
  reserved3: u16,
  entries: u32,
}, { packed: true });

/** One action, and the access that does it. */
export const WdatEntry = struct("acpi_wdat_entry", {
  action: u8,
  instruction: u8,
  reserved: u16,
  register_region: GenericAddress,
  value: u32,
  mask: u32,
}, { packed: true });

/** `action`. */
export const WdatAction = {
  RESET: 1,
  GET_CURRENT_COUNTDOWN: 4,
  GET_COUNTDOWN: 5,
  SET_COUNTDOWN: 6,
  GET_RUNNING_STATE: 8,
  SET_RUNNING_STATE: 9,
  GET_STOPPED_STATE: 10,
  SET_STOPPED_STATE: 11,
  GET_REBOOT: 16,
  SET_REBOOT: 17,
  GET_STATUS: 32,
  SET_STATUS: 33,
} as const;

/** `instruction`. */
export const WdatInstruction = {
  READ_VALUE: 0,
  READ_COUNTDOWN: 1,
  WRITE_VALUE: 2,
  WRITE_COUNTDOWN: 3,
  PRESERVE_REGISTER: 0x80,
} as const;

/** `flags`: the watchdog is there for the taking. It runs on while the guest sleeps. */
const WDAT_ENABLED = 1;
/** What the PCI address of a watchdog that isn't on the PCI bus says, byte for byte. */
const NOT_PCI = 0xff;
/** System I/O space. */
const SYSTEM_IO = 1;

/**
 * Builds the table.
 *
 * @returns Its bytes
 */
export function wdat(): Bytes {
  const { RUN, REBOOT } = WatchdogControl;
  const { CONTROL, STATUS, COUNTDOWN, CURRENT } = WatchdogRegister;
  const { READ_VALUE, READ_COUNTDOWN, WRITE_VALUE, WRITE_COUNTDOWN, PRESERVE_REGISTER } =
    WdatInstruction;
  const { MAX_COUNT } = WatchdogTime;
  const keep = WRITE_VALUE | PRESERVE_REGISTER;
  const entries = [
    entry(WdatAction.RESET, WRITE_VALUE, CURRENT, 1, MAX_COUNT),
    entry(WdatAction.GET_CURRENT_COUNTDOWN, READ_COUNTDOWN, CURRENT, 0, MAX_COUNT),
    entry(WdatAction.GET_COUNTDOWN, READ_COUNTDOWN, COUNTDOWN, 0, MAX_COUNT),
    entry(WdatAction.SET_COUNTDOWN, WRITE_COUNTDOWN, COUNTDOWN, 0, MAX_COUNT),
    entry(WdatAction.GET_RUNNING_STATE, READ_VALUE, CONTROL, RUN, RUN),
    entry(WdatAction.SET_RUNNING_STATE, keep, CONTROL, RUN, RUN),
    entry(WdatAction.GET_STOPPED_STATE, READ_VALUE, CONTROL, 0, RUN),
    entry(WdatAction.SET_STOPPED_STATE, keep, CONTROL, 0, RUN),
    entry(WdatAction.GET_REBOOT, READ_VALUE, CONTROL, REBOOT, REBOOT),
    entry(WdatAction.SET_REBOOT, keep, CONTROL, REBOOT, REBOOT),
    entry(WdatAction.GET_STATUS, READ_VALUE, STATUS, WATCHDOG_EXPIRED, WATCHDOG_EXPIRED),
    entry(WdatAction.SET_STATUS, WRITE_VALUE, STATUS, WATCHDOG_EXPIRED, WATCHDOG_EXPIRED),
  ];
  const out = new Wdat();
  out.header_length = Wdat.size - Header.size;
  out.pci_segment = NOT_PCI;
  out.pci_bus = NOT_PCI;
  out.pci_device = NOT_PCI;
  out.pci_function = NOT_PCI;
  out.timer_period = WatchdogTime.PERIOD_MS;
  out.max_count = MAX_COUNT;
  out.min_count = WatchdogTime.MIN_COUNT;
  out.flags = WDAT_ENABLED;
  out.entries = entries.length;
  return table("WDAT", 1, sequence(out.bytes().subarray(Header.size), ...entries));
}

function entry(
  action: number,
  instruction: number,
  register: number,
  value: number,
  mask: number,
): Bytes {
  const width = register < WatchdogRegister.COUNTDOWN ? 1 : 2;
  const out = new WdatEntry();
  out.action = action;
  out.instruction = instruction;
  out.register_region.space_id = SYSTEM_IO;
  out.register_region.bit_width = 8 * width;
  out.register_region.access_width = width; // 1 byte, 2 word
  out.register_region.address = Port.WATCHDOG + register;
  out.value = value;
  out.mask = mask;
  return out.bytes();
}
