/**
 * Byte strings, of which tables and their code are put together.
 *
 * @module
 */

/** Bytes with memory of their own. */
export type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Puts pieces one after another.
 *
 * @param parts Byte strings, or single bytes as numbers
 * @returns Their bytes in order
 */
export function sequence(...parts: (Uint8Array | number)[]): Bytes {
  const length = parts.reduce<number>((sum, p) => sum + (typeof p === "number" ? 1 : p.length), 0);
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    if (typeof part === "number") {
      out[at++] = part;
    } else {
      out.set(part, at);
      at += part.length;
    }
  }
  return out;
}

/**
 * A value in little-endian bytes.
 *
 * @param value A whole number from 0 to 2^53-1
 * @param size How many bytes; higher ones are cut off
 * @returns The bytes
 */
export function littleEndian(value: number, size: number): Bytes {
  const out = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    out[i] = value % 256;
    value = Math.floor(value / 256);
  }
  return out;
}

/**
 * Text as bytes.
 *
 * @param text ASCII text
 * @returns A byte for each character
 */
export function ascii(text: string): Bytes {
  return new TextEncoder().encode(text);
}

/**
 * Makes bytes sum to zero by setting one of them.
 *
 * @param table The bytes
 * @param at Index of the checksum byte
 */
export function fixChecksum(table: Uint8Array, at: number): void {
  table[at] = 0;
  table[at] = -table.reduce((sum, byte) => (sum + byte) & 0xff, 0);
}
