/**
 * A guest that writes its disk.
 *
 * @module
 */
import { Structure } from "../vmm/virtio/pci_capabilities.ts";
import { blockHeader } from "./block_guest.ts";
import { Script, SCRIPT_MEMORY, scriptDocument } from "./script_guest.ts";
import { barOf, placeBars, prove } from "./script_virtio.ts";

const DISK_SLOT = 1;
/** The word that a guest with a gate waits for: 1, in two bytes. */
export const GATE: number = SCRIPT_MEMORY.base + 0x8000;

/**
 * A guest that writes its number to each sector of a disk but the first, one after the other, and ends with
 * 42: sector 1 has 2, sector 2 has 3.
 *
 * @param name Its name
 * @param disk More of its disk's entry
 * @param sectors How many the disk has
 * @param gate The sector before which it waits at {@linkcode GATE}
 */
export function diskWriter(
  name: string,
  disk: Readonly<Record<string, unknown>>,
  sectors: number,
  gate?: number,
): Record<string, unknown> {
  const script = new Script();
  placeBars(script, DISK_SLOT);
  prove(script, { slot: DISK_SLOT }, [0, [blockHeader(1, 0), new Uint8Array(512)], [1]], 1);
  const desc = SCRIPT_MEMORY.base + 0x1000;
  const data = desc + 0x300;
  for (let sector = 1; sector < sectors; sector++) {
    if (sector === gate) script.until(GATE, 1);
    script.write(8, data + 8, sector);
    script.write(8, data + 16, sector + 1);
    script.write(1, data + 16 + 512, 0xff);
    script.write(2, desc + 0x100 + 4 + 2 * (sector % 8), 0);
    script.write(2, desc + 0x100 + 2, sector + 1);
    script.write(2, barOf(DISK_SLOT) + Structure.NOTIFY, 0);
    script.until(desc + 0x200 + 2, sector + 1);
  }
  script.exit(42);
  return { ...scriptDocument(script, [{ type: "serial" }, { type: "disk", ...disk }]), name };
}

/**
 * How many sectors the guest has written.
 *
 * @param disk What is on its disk
 */
export function sectorsWritten(disk: Uint8Array<ArrayBuffer>): number {
  const view = new DataView(disk.buffer, disk.byteOffset, disk.length);
  let sectors = 1;
  while (sectors * 512 < disk.length && view.getUint32(sectors * 512, true) === sectors + 1) {
    sectors++;
  }
  return sectors;
}
