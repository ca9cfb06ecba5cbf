/**
 * What a device's `open` gave, looked at before anything relies on it: the types of a module that
 * the user wrote are not checked when it runs.
 *
 * @module
 */
import { DocumentError } from "../ffi/errors.ts";
import type { Device, DeviceContext, DeviceType, IoRange } from "./device.ts";
import { deviceFailure } from "./device_failure.ts";

/** As many addresses as a page table entry reaches (SDM vol. 3, 4.1.4: MAXPHYADDR is at most 52). */
const ADDRESSES = 2 ** 52;
const PORTS = 0x1_0000;

/**
 * Opens a device and makes sure that it is one.
 *
 * @param type Its kind
 * @param config Its entry of the document
 * @param context What the machine gives it
 * @returns The device
 * @throws {VmError} If its code throws
 * @throws {DocumentError} If it isn't a device
 */
export function openDevice(type: DeviceType, config: unknown, context: DeviceContext): Device {
  let device: Device;
  try {
    device = type.open(config, context);
  } catch (error) {
    throw deviceFailure(context.name, error);
  }
  const problem = problemOf(device, type);
  if (problem === undefined) return device;
  throw new DocumentError(`Device ${context.name}: ${problem}`, {
    hint: "a device is `{ ranges: [{ space, base, size, maxWidth, handler }], reset() {} }`",
  });
}

function problemOf(
  device: Partial<Device> | undefined | null,
  { bus }: DeviceType,
): string | undefined {
  if (typeof device !== "object" || device === null) return "open() gave no device";
  if (!Array.isArray(device.ranges)) return 'it has no array "ranges"';
  if (typeof device.reset !== "function") return 'it has no function "reset"';
  if (bus === "pci" && !Array.isArray(device.pci?.bars)) {
    return 'its kind says bus: "pci", but it has no "pci" with an array "bars"';
  }
  for (const [i, range] of device.ranges.entries()) {
    const problem = problemOfRange(range);
    if (problem !== undefined) return `ranges[${i}]${problem}`;
  }
  return undefined;
}

function problemOfRange(range: Partial<IoRange> | undefined | null): string | undefined {
  if (typeof range !== "object" || range === null) return " is not an object";
  const { space, base, size, maxWidth, handler } = range;
  if (space !== "pio" && space !== "mmio") return '.space is not "pio" or "mmio"';
  const [end, what] = space === "pio" ? [PORTS, "ports"] : [ADDRESSES, "addresses"];
  if (!isWhole(base) || base >= end) return `.base is ${base}, which there is not among ${what}`;
  if (!isWhole(size) || size === 0 || base + size > end) {
    return `.size is ${size}, which there is not from 0x${base.toString(16)} on`;
  }
  if (maxWidth !== 1 && maxWidth !== 2 && maxWidth !== 4) {
    return `.maxWidth is ${maxWidth}, not 1, 2 or 4`;
  }
  if (typeof handler?.read !== "function" || typeof handler.write !== "function") {
    return ".handler has no functions read and write";
  }
  return undefined;
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
