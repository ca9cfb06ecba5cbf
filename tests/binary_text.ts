/**
 * Bytes as text of which each byte is one character, U+0000 to U+00FF. (What TextDecoder calls
 * latin1 is windows-1252.)
 *
 * @param bytes The bytes
 * @returns As many characters
 */
export function binaryText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}
