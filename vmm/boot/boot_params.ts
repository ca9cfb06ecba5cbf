/**
 * `struct boot_params`, the "zero page" that a kernel started past real mode gets in RSI
 * (Documentation/arch/x86/zero-page.rst).
 *
 * @module
 */
import { addr64, array, bytes, type Struct, struct, u32, u8 } from "../../ffi/struct.ts";
import { ImageError } from "../../ffi/errors.ts";
import type { GuestMemory } from "../guest_memory.ts";
import { memoryMap } from "./e820.ts";
import type { Image } from "./image.ts";
import { Low, memoryError, ramEnd } from "./placement.ts";
import { SETUP_HEADER_OFFSET, SetupHeader } from "./setup_header.ts";

/** `struct boot_e820_entry` */
export const BootE820Entry = struct("boot_e820_entry", {
  addr: addr64,
  size: addr64,
  type: u32,
}, { packed: true });

/** E820_MAX_ENTRIES_ZEROPAGE */
const E820_MAX_ENTRIES = 128;

/** `struct boot_params`, with what this loader has no use for left as padding. */
export const BootParams = struct("boot_params", {
  screen_info: bytes(0x40),
  apm_bios_info: bytes(0x14),
  _pad2: bytes(4),
  tboot_addr: addr64,
  ist_info: bytes(0x10),
  acpi_rsdp_addr: addr64,
  _pad3: bytes(8),
  hd0_info: bytes(16),
  hd1_info: bytes(16),
  sys_desc_table: bytes(0x10),
  olpc_ofw_header: bytes(0x10),
  ext_ramdisk_image: u32,
  ext_ramdisk_size: u32,
  ext_cmd_line_ptr: u32,
  _pad4: bytes(112),
  cc_blob_address: u32,
  edid_info: bytes(0x80),
  efi_info: bytes(0x20),
  alt_mem_k: u32,
  scratch: u32,
  e820_entries: u8,
  eddbuf_entries: u8,
  edd_mbr_sig_buf_entries: u8,
  kbd_status: u8,
  secure_boot: u8,
  _pad5: bytes(2),
  sentinel: u8,
  _pad6: bytes(1),
  hdr: SetupHeader,
  _pad7: bytes(0x290 - SETUP_HEADER_OFFSET - SetupHeader.size),
  edd_mbr_sig_buffer: bytes(0x40),
  e820_table: array(BootE820Entry, E820_MAX_ENTRIES),
  _pad8: bytes(0x30),
  eddbuf: bytes(0x1ec),
  _pad9: bytes(0x114),
}, { packed: true });

/** What goes into the zero page. */
export interface BootParamsContent {
  /** The setup header, as the loader has filled it in. */
  readonly header: Struct<typeof SetupHeader>;
  /** Guest-physical address of the ACPI RSDP, where there is one. */
  readonly acpiRsdp?: number;
}

/**
 * Writes the zero page at `Low.BOOT_PARAMS`.
 *
 * @param memory The guest's memory
 * @param image The kernel, for messages
 * @param content The header and the tables to name
 * @returns The page's address
 * @throws {ImageError} If memory has more pieces than the page has room for
 */
export function writeBootParams(
  memory: GuestMemory,
  image: Image,
  content: BootParamsContent,
): number {
  if (ramEnd(memory, Low.BOOT_PARAMS) < Low.BOOT_PARAMS + BootParams.size) {
    throw memoryError(memory, image, "boot_params", Low.BOOT_PARAMS + BootParams.size);
  }
  const ranges = memoryMap(memory);
  if (ranges.length > E820_MAX_ENTRIES) {
    throw new ImageError(
      `${image.path}: boot_params.e820_table holds ${E820_MAX_ENTRIES} ranges, memory has ${ranges.length}`,
      { hint: "give the machine fewer pieces of RAM" },
    );
  }
  const params = new BootParams(memory.view(Low.BOOT_PARAMS, BootParams.size));
  params.bytes().fill(0);
  params.hdr = content.header;
  params.acpi_rsdp_addr = content.acpiRsdp ?? 0;
  params.e820_entries = ranges.length;
  ranges.forEach(({ addr, size, type }, i) => {
    Object.assign(params.e820_table.at(i), { addr, size, type });
  });
  return Low.BOOT_PARAMS;
}
