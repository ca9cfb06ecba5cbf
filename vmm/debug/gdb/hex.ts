/**
 * Numbers and bytes as the Remote Serial Protocol writes them.
 *
 * @module
 */

/** The peer sent what no debugger sends; it gets an error. */
export class PacketError extends Error {}

/**
 * Reads a number.
 *
 * @param text Hexadecimal digits
 * @returns The number, of 64 bits
 * @throws {PacketError} If it is none
 */
export function hexNumber(text: string | undefined): bigint {
  if (text === undefined || !/^[0-9a-f]{1,16}$/i.test(text)) throw new PacketError("No number");
  return BigInt(`0x${text}`);
}

/**
 * Reads bytes.
 *
 * @param text Two hexadecimal digits a byte
 * @throws {PacketError} If it is none
 */
export function hexBytes(text: string | undefined): Uint8Array<ArrayBuffer> {
  if (text === undefined || !/^([0-9a-f]{2})*$/i.test(text)) throw new PacketError("No bytes");
  return Uint8Array.fromHex(text);
}

/** Writes text as bytes in hexadecimal. */
export function hexText(text: string): string {
  return new TextEncoder().encode(text).toHex();
}

/**
 * A register's value in the target's byte order.
 *
 * @param value Unsigned
 * @param bits Its width, a multiple of 8
 */
export function hexRegister(value: bigint, bits: number): string {
  const digits = value.toString(16).padStart(bits / 4, "0");
  return Uint8Array.fromHex(digits).reverse().toHex();
}

/**
 * The value of a register in the target's byte order.
 *
 * @param text Its bytes in hexadecimal
 * @param bits Its width
 * @throws {PacketError} If it is not as wide
 */
export function registerValue(text: string, bits: number): bigint {
  const bytes = hexBytes(text);
  if (bytes.length * 8 !== bits) throw new PacketError("Not as wide as the register");
  return BigInt(`0x${bytes.reverse().toHex()}`);
}
