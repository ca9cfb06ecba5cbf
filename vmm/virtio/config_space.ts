/**
 * A device's configuration space as a driver reaches it, in any width and at any offset (virtio 1.2
 * §2.5): the device sees aligned accesses inside of it.
 *
 * @module
 */
import type { Width } from "../device.ts";
import type { VirtioDevice } from "./virtio_device.ts";

/**
 * Reads it.
 *
 * @param device Whose
 * @param offset Bytes from its start
 * @param width 1, 2 or 4
 * @returns The value; ones for what is past the end
 */
export function readConfigSpace(device: VirtioDevice, offset: number, width: Width): number {
  if (offset % width === 0 && offset + width <= device.configSize) {
    return device.readConfig(offset, width);
  }
  if (width === 1) return 0xff;
  const half = (width >> 1) as Width;
  const low = readConfigSpace(device, offset, half);
  const high = readConfigSpace(device, offset + half, half);
  return (low | (high << (8 * half))) >>> 0;
}

/**
 * Writes it; what is past the end is dropped.
 *
 * @param device Whose
 * @param offset Bytes from its start
 * @param width 1, 2 or 4
 * @param value An unsigned number of that width
 */
export function writeConfigSpace(
  device: VirtioDevice,
  offset: number,
  width: Width,
  value: number,
): void {
  if (offset % width === 0 && offset + width <= device.configSize) {
    device.writeConfig?.(offset, width, value);
  } else if (width > 1) {
    const half = (width >> 1) as Width;
    writeConfigSpace(device, offset, half, value & (half === 1 ? 0xff : 0xffff));
    writeConfigSpace(device, offset + half, half, value >>> (8 * half));
  }
}
