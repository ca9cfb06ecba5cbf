/**
 * Devices in a document's list.
 *
 * @module
 */
import { UsageError } from "../ffi/errors.ts";
import type { DeviceEntry, VmDocument } from "../vmm/document.ts";
import { vmName } from "./vm_name.ts";

/**
 * Adds a device, or changes the one that has its name already.
 *
 * @param document The document
 * @param entry The device; what it says goes over what the one of its name says
 * @param idle Keys that mean nothing beside what the entry says, so that they go
 * @returns A new document
 * @throws {UsageError} If its name is none, or that of a device of another type
 */
export function withDevice(
  document: VmDocument,
  entry: DeviceEntry,
  idle: readonly string[] = [],
): VmDocument {
  const devices = document.devices ?? [];
  if (entry.name !== undefined) vmName(entry.name);
  const same = entry.name === undefined
    ? -1
    : devices.findIndex((device) => device.name === entry.name);
  if (same < 0) return { ...document, devices: [...devices, entry] };
  const { type } = devices[same]!;
  if (type !== entry.type) {
    throw new UsageError(`The device ${entry.name} is a ${type}, no ${entry.type}`, {
      hint: "another --name",
    });
  }
  const kept = Object.entries(devices[same]!).filter(([key]) => !idle.includes(key));
  const changed = { ...Object.fromEntries(kept), ...entry };
  return { ...document, devices: devices.with(same, changed) };
}

/**
 * Finds a name that no device of a document has.
 *
 * @param document The document
 * @param type The device's type
 * @returns `serial1` if there is a `serial0`
 */
export function freeName(document: VmDocument, type: string): string {
  const names = new Set(document.devices?.map(({ name }) => name));
  let number = 0;
  while (names.has(`${type}${number}`)) number++;
  return `${type}${number}`;
}
