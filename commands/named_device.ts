/**
 * Devices in a document's list.
 *
 * @module
 */
import type { DeviceEntry, VmDocument } from "../vmm/document.ts";
import { vmName } from "./vm_name.ts";

/**
 * Adds a device, or changes the one that has its name already.
 *
 * @param document The document
 * @param entry The device; what it says goes over what the one of its name says
 * @returns A new document
 * @throws {UsageError} If its name is none
 */
export function withDevice(document: VmDocument, entry: DeviceEntry): VmDocument {
  const devices = document.devices ?? [];
  if (entry.name !== undefined) vmName(entry.name);
  const same = entry.name === undefined
    ? -1
    : devices.findIndex((device) => device.name === entry.name);
  if (same < 0) return { ...document, devices: [...devices, entry] };
  return {
    ...document,
    devices: devices.map((device, i) => i === same ? { ...device, ...entry } : device),
  };
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
