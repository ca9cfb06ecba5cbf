/**
 * `struct setup_header`, by which a bzImage and its loader talk to each other
 * (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header").
 *
 * @module
 */
import { addr64, struct, u16, u32, u8 } from "../../ffi/struct.ts";

/** Where the header lies, in a bzImage and in `struct boot_params` alike. */
export const SETUP_HEADER_OFFSET = 0x1f1;

/** `struct setup_header` */
export const SetupHeader = struct("setup_header", {
  setup_sects: u8,
  root_flags: u16,
  syssize: u32,
  ram_size: u16,
  vid_mode: u16,
  root_dev: u16,
  boot_flag: u16,
  jump: u16,
  header: u32,
  version: u16,
  realmode_swtch: u32,
  start_sys_seg: u16,
  kernel_version: u16,
  type_of_loader: u8,
  loadflags: u8,
  setup_move_size: u16,
  code32_start: u32,
  ramdisk_image: u32,
  ramdisk_size: u32,
  bootsect_kludge: u32,
  heap_end_ptr: u16,
  ext_loader_ver: u8,
  ext_loader_type: u8,
  cmd_line_ptr: u32,
  initrd_addr_max: u32,
  kernel_alignment: u32,
  relocatable_kernel: u8,
  min_alignment: u8,
  xloadflags: u16,
  cmdline_size: u32,
  hardware_subarch: u32,
  hardware_subarch_data: addr64,
  payload_offset: u32,
  payload_length: u32,
  setup_data: addr64,
  pref_address: addr64,
  init_size: u32,
  handover_offset: u32,
  kernel_info_offset: u32,
}, { packed: true });

/** A field of the header. */
export type SetupField = keyof typeof SetupHeader.offsets;

/** `boot_flag` */
export const BOOT_FLAG = 0xaa55;
/** `header`: "HdrS" */
export const HDRS = 0x5372_6448;
/** `type_of_loader` of a loader that has no number of its own. */
export const LOADER_UNDEFINED = 0xff;
/** `loadflags`: the protected-mode code goes to 0x100000, not to 0x10000. */
export const LOADED_HIGH = 0x01;
/** `loadflags`: `heap_end_ptr` is valid. */
export const CAN_USE_HEAP = 0x80;
/** `xloadflags`: the kernel has the 64-bit entry point at 0x200. */
export const XLF_KERNEL_64 = 0x0001;

/** Which protocol version brought each field, the last column of boot.rst's table. */
const SINCE: Partial<Record<SetupField, number>> = {
  heap_end_ptr: 0x201,
  ext_loader_ver: 0x202,
  ext_loader_type: 0x202,
  cmd_line_ptr: 0x202,
  initrd_addr_max: 0x203,
  kernel_alignment: 0x205,
  relocatable_kernel: 0x205,
  min_alignment: 0x20a,
  xloadflags: 0x20c,
  cmdline_size: 0x206,
  hardware_subarch: 0x207,
  hardware_subarch_data: 0x207,
  payload_offset: 0x208,
  payload_length: 0x208,
  setup_data: 0x209,
  pref_address: 0x20a,
  init_size: 0x20a,
  handover_offset: 0x20b,
  kernel_info_offset: 0x20f,
};

/** The header as the 2.00 protocol and its successors leave it, with later fields zero. */
export function clearLaterFields(header: InstanceType<typeof SetupHeader>): void {
  const { version } = header;
  for (const [field, since] of Object.entries(SINCE)) {
    if (version < since) header[field as SetupField] = 0;
  }
}
