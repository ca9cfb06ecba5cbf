/**
 * The multiboot 1 header that a kernel carries (Multiboot Specification 0.6.96 §3.1).
 *
 * @module
 */
import { struct, u32 } from "../../ffi/struct.ts";

/** `struct multiboot_header`, without the graphics fields, which this machine has no use for. */
export const MultibootHeader = struct("multiboot_header", {
  magic: u32,
  flags: u32,
  checksum: u32,
  header_addr: u32,
  load_addr: u32,
  load_end_addr: u32,
  bss_end_addr: u32,
  entry_addr: u32,
});

/** `magic` of the header. */
export const MULTIBOOT_HEADER_MAGIC = 0x1bad_b002;
/** The header lies wholly in this many first bytes of the file. */
const MULTIBOOT_SEARCH = 8192;
/** magic, flags and checksum: the part that every header has. */
const HEADER_CORE = 12;

/**
 * Looks for a multiboot header: 4-byte aligned, in the first 8192 bytes, its three first words
 * adding up to 0.
 *
 * @param bytes The file
 * @returns The header's offset, or `undefined` if there is none
 */
export function findMultibootHeader(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = Math.min(bytes.length, MULTIBOOT_SEARCH) - HEADER_CORE;
  for (let at = 0; at <= end; at += 4) {
    if (view.getUint32(at, true) !== MULTIBOOT_HEADER_MAGIC) continue;
    const sum = MULTIBOOT_HEADER_MAGIC + view.getUint32(at + 4, true) +
      view.getUint32(at + 8, true);
    if (sum % 0x1_0000_0000 === 0) return at;
  }
  return undefined;
}
