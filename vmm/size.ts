/**
 * Sizes and addresses as people write them.
 *
 * @module
 */
import { VmError } from "../ffi/errors.ts";

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/**
 * Reads a size: a number of bytes, or text with a binary unit.
 *
 * @param value `4096`, `"256M"`, `"1.5G"`, `"0x1000"`
 * @returns Bytes, a whole number up to 2^53-1
 * @throws {RangeError} Naming what is wrong
 * @example
 * ```ts
 * import { parseSize } from "./size.ts";
 *
 * console.log(parseSize("256M")); // 268435456
 * ```
 */
export function parseSize(value: number | string): number {
  const bytes = typeof value === "number" ? value : readSize(value);
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new RangeError(`Cannot take the size ${value}: it is not a whole number of bytes`);
  }
  return bytes;
}

/**
 * Reads the size that a device of a live VM is told to have.
 *
 * @param device The device's name
 * @param text What the user wrote
 * @returns Bytes, a whole number up to 2^53-1
 * @throws {VmError} Naming the device, and what is wrong
 */
export function parseDeviceSize(device: string, text: string): number {
  try {
    return parseSize(text);
  } catch (error) {
    throw new VmError(`${device}: ${(error as Error).message}`, {
      cause: error,
      hint: "a size is a number of bytes, or 512M, or 2G",
    });
  }
}

function readSize(text: string): number {
  if (/^0x[0-9a-f]+$/i.test(text)) return Number(text);
  const match = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(text.trim());
  if (match === null) throw new RangeError(`Cannot parse the size "${text}": it is not a number`);
  const unit = UNITS[match[2]!.toUpperCase().replace(/I?B$/, "")];
  if (unit === undefined) {
    throw new RangeError(`Cannot parse the size "${text}": the unit is not one of K, M, G, T`);
  }
  return Number(match[1]) * unit;
}

/**
 * Reads a guest-physical address: decimal, `0x…`, or a size such as `1M`.
 *
 * @param text What the user wrote
 * @returns The address, a whole number up to 2^53-1
 * @throws {RangeError} Naming what is wrong
 */
export function parseAddress(text: string): number {
  try {
    return parseSize(text);
  } catch {
    throw new RangeError(`Cannot parse the address "${text}": write it as 0x1000, 4096 or 1M`);
  }
}

/**
 * Writes a size with the largest binary unit that divides it.
 *
 * @param bytes A whole number
 * @returns `"256M"`
 */
export function formatSize(bytes: number): string {
  for (const unit of ["T", "G", "M", "K"]) {
    if (bytes > 0 && bytes % UNITS[unit]! === 0) return `${bytes / UNITS[unit]!}${unit}`;
  }
  return `${bytes}`;
}
