/**
 * The machine's fixed addresses: where a PC's parts lie, and what a guest finds in low memory.
 *
 * @module
 */

/** Ports of the board's own devices. */
export const Port = {
  /** i8042 data and, at +4, command and status. */
  I8042: 0x60,
  /** MC146818 index and, at +1, data. */
  RTC: 0x70,
  /** pc-testdev of kvm-unit-tests. */
  TESTDEV: 0xe0,
  /** Debug console: bytes out; reads give 0xe9 as Bochs and QEMU do. */
  DEBUGCON: 0xe9,
  /** Where SeaBIOS and OVMF write their log. */
  FIRMWARE_DEBUGCON: 0x402,
  /** Debug exit: the byte written is the exit status. */
  DEBUG_EXIT: 0xf4,
  /** The four PC serial ports. */
  COM: [0x3f8, 0x2f8, 0x3e8, 0x2e8],
  /** pvpanic. */
  PVPANIC: 0x505,
  /** fw_cfg selector and, at +1, data. */
  FW_CFG: 0x510,
  /** fw_cfg's 64-bit DMA address, big-endian. */
  FW_CFG_DMA: 0x514,
  /** ACPI PM1a event block (4), control block (2) at +4, timer (4) at +8. */
  PM: 0x600,
  /** ACPI general-purpose events, block 0 (4). */
  GPE0: 0x620,
  /** Watchdog: control, status, countdown (2) at +2, current count (2) at +4. */
  WATCHDOG: 0x630,
  /** PCI configuration address (4) and, at +4, data (4). */
  PCI_CONFIG: 0xcf8,
  /** PCI hot-plug: slots that came (4), slots that are to go (4), slots let go (4). */
  PCI_HOTPLUG: 0xae00,
  /** Ports that PCI passes down, up to {@linkcode Port.PCI_WINDOW_END}. */
  PCI_WINDOW: 0xc000,
  PCI_WINDOW_END: 0x1_0000,
  /** Reset control register (ACPI RESET_REG, PCI chipsets' 0xcf9). */
  RESET: 0xcf9,
} as const;

/** Interrupt inputs (ISA IRQ and GSI are the same number here). */
export const Irq = {
  KEYBOARD: 1,
  /** COM1 and COM3 are 4, COM2 and COM4 3. */
  COM: [4, 3, 4, 3],
  RTC: 8,
  SCI: 9,
  /** The first of the eight inputs of the I/O APIC that PCI slots share. */
  PCI: 16,
  /** The virtio-mmio devices'; each has one of its own while there are. */
  VIRTIO_MMIO: [5, 6, 7, 10, 11, 12, 13, 14, 15],
} as const;

/** Guest-physical addresses. */
export const Address = {
  /** What a loader may use for its GDT, boot_params, page tables and command line… */
  LOADER: 0x7000,
  /** …up to here; flat guests at 0x7c00 never meet a loader. */
  LOADER_END: 0x2_0000,
  /** The command line, up to 64 KiB. */
  CMDLINE: 0x2_0000,
  /** Extended BIOS data area: the end of usable low memory, where an MP table is looked for. */
  EBDA: 0x9_fc00,
  /** VGA memory: plain RAM here, told to guests as reserved. */
  VGA: 0xa_0000,
  /** The generation ID, in a page to itself of that. */
  VM_GENERATION_ID: 0xa_f000,
  /** ACPI tables, told to guests as reserved; the RSDP is first, on a 16-byte boundary. */
  BIOS: 0xe_0000,
  /** Extended memory. */
  HIGH: 0x10_0000,
  /** RAM below 4 GiB ends here at the latest; the rest continues at 4 GiB. */
  LOW_RAM_END: 0xc000_0000,
  /** PCI memory window, up to {@linkcode Address.PCI_WINDOW_END}; RAM mapped there takes its place. */
  PCI_WINDOW: 0xc000_0000,
  PCI_WINDOW_END: 0xe000_0000,
  /** PCI Express configuration space of bus 0, 1 MiB. */
  ECAM: 0xe000_0000,
  /** The virtio-mmio devices, a page each. */
  VIRTIO_MMIO: 0xe800_0000,
  /** A second PCI memory window, up to {@linkcode Address.IOAPIC}: where SeaBIOS puts BARs. */
  FIRMWARE_PCI_WINDOW: 0xf000_0000,
  IOAPIC: 0xfec0_0000,
  LAPIC: 0xfee0_0000,
  /** Page that KVM needs for real mode on old VT-x (KVM_SET_IDENTITY_MAP_ADDR). */
  IDENTITY_MAP: 0xfeff_c000,
  /** Three pages for the same reason (KVM_SET_TSS_ADDR). */
  TSS: 0xfeff_d000,
  /** Firmware blobs end here. */
  FOUR_GIB: 0x1_0000_0000,
} as const;

/** ISA interrupt overrides and the ACPI numbers that tables and devices share. */
export const Acpi = {
  /** SLP_TYP of S5 in PM1_CNT, as \_S5 says it. */
  S5_SLP_TYP: 5,
  /** The general-purpose event that says that the generation ID is another. */
  GENERATION_GPE: 2,
  /** What RESET_REG wants written. */
  RESET_VALUE: 0x06,
  /** Frequency of the PM timer in Hz (ACPI 6.5 §4.8.3.3). */
  PM_TIMER_HZ: 3_579_545,
} as const;

/** Threads that one machine's devices can have at most: one for each bit that tells them of a change. */
export const MAX_IO_THREADS = 16;
