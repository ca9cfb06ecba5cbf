/**
 * The FADT: where the fixed ACPI registers of the PM device lie, and what a PC's legacy is there.
 *
 * @module
 */
import { addr64, bytes, struct, u16, u32, u8 } from "../../ffi/struct.ts";
import { Acpi, Irq, Port } from "../board.ts";
import { Header, table } from "./acpi_tables.ts";
import type { Bytes } from "./byte_sequence.ts";

/** The Generic Address Structure (§5.2.3.2). */
export const GenericAddress = struct("acpi_generic_address", {
  space_id: u8,
  bit_width: u8,
  bit_offset: u8,
  access_width: u8,
  address: addr64,
}, { packed: true });

/** The Fixed ACPI Description Table (§5.2.9), with its header. */
export const Fadt = struct("acpi_table_fadt", {
  header: Header,
  firmware_ctrl: u32,
  dsdt: u32,
  reserved: u8,
  preferred_pm_profile: u8,
  sci_int: u16,
  smi_cmd: u32,
  acpi_enable: u8,
  acpi_disable: u8,
  s4bios_req: u8,
  pstate_cnt: u8,
  pm1a_evt_blk: u32,
  pm1b_evt_blk: u32,
  pm1a_cnt_blk: u32,
  pm1b_cnt_blk: u32,
  pm2_cnt_blk: u32,
  pm_tmr_blk: u32,
  gpe0_blk: u32,
  gpe1_blk: u32,
  pm1_evt_len: u8,
  pm1_cnt_len: u8,
  pm2_cnt_len: u8,
  pm_tmr_len: u8,
  gpe0_blk_len: u8,
  gpe1_blk_len: u8,
  gpe1_base: u8,
  cst_cnt: u8,
  p_lvl2_lat: u16,
  p_lvl3_lat: u16,
  flush_size: u16,
  flush_stride: u16,
  duty_offset: u8,
  duty_width: u8,
  day_alrm: u8,
  mon_alrm: u8,
  century: u8,
  iapc_boot_arch: u16,
  reserved2: u8,
  flags: u32,
  reset_reg: GenericAddress,
  reset_value: u8,
  arm_boot_arch: u16,
  minor_version: u8,
  x_firmware_ctrl: addr64,
  x_dsdt: addr64,
  x_pm1a_evt_blk: GenericAddress,
  x_pm1b_evt_blk: GenericAddress,
  x_pm1a_cnt_blk: GenericAddress,
  x_pm1b_cnt_blk: GenericAddress,
  x_pm2_cnt_blk: GenericAddress,
  x_pm_tmr_blk: GenericAddress,
  x_gpe0_blk: GenericAddress,
  x_gpe1_blk: GenericAddress,
  sleep_control_reg: GenericAddress,
  sleep_status_reg: GenericAddress,
  hypervisor_vendor: bytes(8),
}, { packed: true });

/** Fixed feature flags (§5.2.9, table 5.10). A clear PWR_BUTTON means a fixed power button. */
const FADT_FLAGS = (1 << 0) | // WBINVD works
  (1 << 2) | // PROC_C1: C1 on every processor
  (1 << 5) | // SLP_BUTTON: no fixed sleep button
  (1 << 6) | // FIX_RTC: no RTC wake status in PM1
  (1 << 8) | // TMR_VAL_EXT: the PM timer has 32 bits
  (1 << 10); // RESET_REG_SUP

/** IA-PC boot architecture flags (§5.2.9.3). */
const BootArch = {
  LEGACY_DEVICES: 1 << 0,
  I8042: 1 << 1,
  VGA_NOT_PRESENT: 1 << 2,
  CMOS_RTC_NOT_PRESENT: 1 << 5,
} as const;

/** Where the RTC keeps the century, on PCs of every make. */
const CENTURY_INDEX = 0x32;

/** What FADT says of the board's legacy parts. */
export interface LegacyDevices {
  /** Whether anything sits on the ISA bus that a user sees (serial ports). */
  readonly legacy: boolean;
  /** Whether there is a keyboard controller. */
  readonly i8042: boolean;
  /** Whether there is a CMOS RTC. */
  readonly rtc: boolean;
}

/**
 * FADT (§5.2.9), revision 6. There is no SMI_CMD: the board is in ACPI mode from the start.
 *
 * @param facs Address of the FACS
 * @param dsdt Address of the DSDT
 * @param devices What the board has of a PC's legacy
 * @returns The table
 */
export function fadt(facs: number, dsdt: number, devices: LegacyDevices): Bytes {
  const out = new Fadt();
  out.firmware_ctrl = facs;
  out.dsdt = dsdt;
  out.x_dsdt = dsdt;
  out.sci_int = Irq.SCI;
  out.pm1a_evt_blk = Port.PM;
  out.pm1_evt_len = 4;
  out.x_pm1a_evt_blk = ports(Port.PM, 32, 2);
  out.pm1a_cnt_blk = Port.PM + 4;
  out.pm1_cnt_len = 2;
  out.x_pm1a_cnt_blk = ports(Port.PM + 4, 16, 2);
  out.pm_tmr_blk = Port.PM + 8;
  out.pm_tmr_len = 4;
  out.x_pm_tmr_blk = ports(Port.PM + 8, 32, 3);
  out.gpe0_blk = Port.GPE0;
  out.gpe0_blk_len = 4;
  out.x_gpe0_blk = ports(Port.GPE0, 32, 1);
  out.p_lvl2_lat = 0xfff; // above 100 us: no C2
  out.p_lvl3_lat = 0xfff; // above 1000 us: no C3
  out.century = devices.rtc ? CENTURY_INDEX : 0;
  out.iapc_boot_arch = BootArch.VGA_NOT_PRESENT |
    (devices.legacy ? BootArch.LEGACY_DEVICES : 0) |
    (devices.i8042 ? BootArch.I8042 : 0) |
    (devices.rtc ? 0 : BootArch.CMOS_RTC_NOT_PRESENT);
  out.flags = FADT_FLAGS;
  out.reset_reg = ports(Port.RESET, 8, 1);
  out.reset_value = Acpi.RESET_VALUE;
  return table("FACP", 6, out.bytes().subarray(Header.size));
}

function ports(base: number, bitWidth: number, accessWidth: number): Register {
  const register = new GenericAddress();
  register.space_id = 1; // system I/O
  register.bit_width = bitWidth;
  register.access_width = accessWidth; // 1 byte, 2 word, 3 double word
  register.address = base;
  return register;
}

type Register = InstanceType<typeof GenericAddress>;
