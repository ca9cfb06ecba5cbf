/**
 * Bytes as a person reads them.
 *
 * @module
 */
const COLUMNS = 16;

/**
 * A hex dump in the manner of `xxd`.
 *
 * @param address The address of the first byte
 * @param bytes The bytes
 * @returns Lines with line ends
 * @example
 * ```ts
 * import { hexDump } from "./hex_dump.ts";
 *
 * console.log(hexDump(0x1000n, new TextEncoder().encode("Hello")));
 * ```
 */
export function hexDump(address: bigint, bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += COLUMNS) {
    const row = bytes.subarray(at, at + COLUMNS);
    const pairs = row.toHex().replace(/(....)/g, "$1 ");
    const shown = Array.from(row, (b) => b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : ".");
    const start = BigInt.asUintN(64, address + BigInt(at)).toString(16).padStart(8, "0");
    text += `${start}: ${pairs.padEnd(COLUMNS * 2.5)} ${shown.join("")}\n`;
  }
  return text;
}
