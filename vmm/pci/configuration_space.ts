/**
 * A PCI function's configuration space (PCI Local Bus Specification 3.0, chapter 6): its state, with
 * the header of type 0 under its own names and offsets, and the bits that matter.
 *
 * @module
 */
import { array, bytes, struct, u16, u32, u8 } from "../../ffi/struct.ts";

/** The most MSI-X vectors that a function of this bus can have. */
export const MSIX_VECTORS = 64;

/** An entry of the MSI-X table (§6.8.2.6 to §6.8.2.9). */
export const MsixEntry = struct("msix_table_entry", {
  message_address: u32,
  message_upper_address: u32,
  message_data: u32,
  vector_control: u32,
});

/**
 * What a function's registers hold: the first 256 bytes are its configuration space (§6.1), MSI-X's
 * table and pending bits follow.
 */
export const PciFunctionState = struct("pci_function", {
  vendor_id: u16,
  device_id: u16,
  command: u16,
  status: u16,
  revision_id: u8,
  class_code: bytes(3),
  cache_line_size: u8,
  latency_timer: u8,
  header_type: u8,
  bist: u8,
  base_address: array(u32, 6),
  cardbus_cis: u32,
  subsystem_vendor_id: u16,
  subsystem_id: u16,
  expansion_rom: u32,
  capabilities_pointer: u8,
  reserved: bytes(7),
  interrupt_line: u8,
  interrupt_pin: u8,
  min_gnt: u8,
  max_lat: u8,
  capabilities: bytes(192),
  msix_table: array(MsixEntry, MSIX_VECTORS),
  msix_pending: array(u32, MSIX_VECTORS / 32),
  /** 1 once the function has been let go: it answers nothing any more. */
  ejected: u8,
});

/** Bytes of configuration space that have registers; the other of the 4096 read as 0. */
export const CONFIGURATION_SIZE = 256;

/** Offsets of the registers and of what follows them. */
export const At = PciFunctionState.offsets;

/** Bits of the command register (§6.2.2). */
export const Command = {
  IO_SPACE: 1 << 0,
  MEMORY_SPACE: 1 << 1,
  BUS_MASTER: 1 << 2,
  PARITY_ERROR_RESPONSE: 1 << 6,
  SERR_ENABLE: 1 << 8,
  INTERRUPT_DISABLE: 1 << 10,
} as const;

/** Bits of the status register (§6.2.3). */
export const Status = {
  INTERRUPT: 1 << 3,
  CAPABILITIES_LIST: 1 << 4,
} as const;

/** Capability IDs (§6.7, appendix H). */
export const CapabilityId = { VENDOR: 0x09, MSIX: 0x11 } as const;

/**
 * Where MSI-X's capability is in a function that has one (§6.8.2): message control at +2, table
 * offset and BAR at +4, those of the pending bits at +8.
 */
export const MSIX_CAPABILITY = 0x40;
/** MSI-X's message control register. */
export const MSIX_CONTROL = MSIX_CAPABILITY + 2;

/** Bits of MSI-X's message control (§6.8.2.3). */
export const MsixControl = { FUNCTION_MASK: 1 << 14, ENABLE: 1 << 15 } as const;
