/**
 * Looking for zeros in memory.
 *
 * @module
 */

/**
 * Whether there is nothing but zeros.
 *
 * @param bytes Whole pages
 */
export function isZero(bytes: Uint8Array): boolean {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  // Eight at a time: this is the pace of a snapshot of memory that is mostly zero.
  for (let i = 0; i < words.length; i += 8) {
    const any = words[i]! | words[i + 1]! | words[i + 2]! | words[i + 3]! |
      words[i + 4]! | words[i + 5]! | words[i + 6]! | words[i + 7]!;
    if (any !== 0) return false;
  }
  return true;
}
