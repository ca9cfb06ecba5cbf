/**
 * The names of a stream's records.
 *
 * @module
 */

/** What comes second if a machine has firmware. */
export const SECOND = "fw_cfg.json";
/** Interrupt controllers, timer, clock. */
export const BOARD = "board.json";
/** Between rounds of memory of a VM that is being moved. */
export const MOVING = "moving.json";
/** A vCPU's number. */
export const CPU = /^cpu\/(0|[1-9][0-9]{0,3})\.json$/;
/** A device's name. */
export const DEVICE = /^dev\/([A-Za-z0-9._-]+)\.json$/;

/** Digits of a place in a region or on a disk, so that records sort as they lie. */
const PLACE_DIGITS = 10;
const DISK = /^disk\/([A-Za-z0-9._-]+)\/0x([0-9a-f]{1,13})$/;
const MEMORY = /^mem\/([a-z]+[0-9]+)\/0x([0-9a-f]{1,13})$/;

/**
 * Whether a record is a part of the state that is neither the document nor the content of memory or disks.
 *
 * @param name Its name
 */
export function isState(name: string): boolean {
  return name === SECOND || name === BOARD || CPU.test(name) || DEVICE.test(name);
}

/**
 * Where a record of memory belongs.
 *
 * @param name Its name
 * @returns Its region's name, and bytes from that region's start; undefined if it is no such record
 */
export function parseMemoryName(name: string): { region: string; offset: number } | undefined {
  const [, region, place] = MEMORY.exec(name) ?? [];
  return region === undefined ? undefined : { region, offset: parseInt(place!, 16) };
}

/**
 * The name of a record of memory.
 *
 * @param region Its region's
 * @param offset Bytes from the region's start
 */
export function memoryRecord(region: string, offset: number): string {
  return `mem/${region}/${placeText(offset)}`;
}

/**
 * Whether a disk of that name can have records.
 *
 * @param name The disk's
 */
export function isDiskName(name: string): boolean {
  return parseDiskName(diskRecord(name, 0))?.disk === name;
}

/**
 * Where a record of a disk belongs.
 *
 * @param name Its name
 * @returns The disk's name, and bytes from its start; undefined if it is no such record
 */
export function parseDiskName(name: string): { disk: string; offset: number } | undefined {
  const [, disk, place] = DISK.exec(name) ?? [];
  return disk === undefined ? undefined : { disk, offset: parseInt(place!, 16) };
}

/**
 * The name of a record of a disk.
 *
 * @param disk The disk's
 * @param offset Bytes from its start
 */
export function diskRecord(disk: string, offset: number): string {
  return `disk/${disk}/${placeText(offset)}`;
}

function placeText(offset: number): string {
  return `0x${offset.toString(16).padStart(PLACE_DIGITS, "0")}`;
}
