/**
 * The kernel command line that hvsh starts Linux with.
 *
 * @module
 */
import { parseBzImage } from "./bzimage.ts";
import { parseElf } from "./elf.ts";
import { isLinux } from "./elf_notes.ts";
import { detectImage, type Image } from "./image.ts";

/**
 * The console is the first serial port. A reset ends the VM, so a panic resets at once, by the
 * keyboard controller, which is the quickest way that every machine here has.
 */
const DEFAULTS = "console=ttyS0 reboot=k panic=-1";

/** A virtio-mmio device that no ACPI table tells of. */
export interface ToldDevice {
  /** Guest-physical address. */
  readonly base: number;
  /** Its interrupt. */
  readonly irq: number;
}

/**
 * The whole command line of a kernel.
 *
 * @param image The kernel; memtest86+ and iPXE come as one too, and know other words
 * @param cmdline What the user says; it comes later on the line, where it counts against ours
 * @param told Devices that Linux is told of here (Linux, virtio_mmio.c, "virtio_mmio.device")
 * @returns The line
 * @throws {ImageError} If the image is damaged
 */
export function kernelCmdline(
  image: Image,
  cmdline: string | undefined,
  told: readonly ToldDevice[] = [],
): string {
  const devices = told.map(({ base, irq }) =>
    `virtio_mmio.device=4K@0x${base.toString(16)}:${irq}`
  );
  const own = bootsLinux(image) ? [DEFAULTS, ...devices] : [];
  return [...own, ...(cmdline === undefined ? [] : [cmdline])].join(" ");
}

function bootsLinux(image: Image): boolean {
  switch (detectImage(image.bytes)) {
    case "bzimage": // the payload is Linux's own way to pack itself (boot.rst, payload_offset)
      return parseBzImage(image).payload !== undefined;
    case "elf32":
    case "elf64":
      return isLinux(parseElf(image).notes);
    default:
      return false;
  }
}
