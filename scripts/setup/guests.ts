/**
 * Where the guests that tests and demos boot are kept: Debian's own kernel, a busybox initramfs,
 * and a few small systems. `deno task setup` fills the folder; nothing else writes there.
 */
import { join } from "node:path";

/** The files and folders that setup provides, by their name in the folder. */
export const GUESTS = [
  "vmlinuz", // Debian's cloud kernel, a bzImage
  "config", // the CONFIG_ values it was built with
  "modules", // its lib/modules/VERSION, with modules.dep
  "busybox", // statically linked
  "initramfs.cpio", // busybox and a small init, see initramfs.ts
  "probe", // a static program that tries devices, scripts/guest/probe.c
  "devices.cpio", // virtio's modules and probe, see device_initramfs.ts
  "memtest86+x64.bin",
  "ipxe.lkrn",
  "gnumach", // a multiboot 1 kernel, unpacked
  "bios.bin", // SeaBIOS, 128 KiB
  "bios-256k.bin", // SeaBIOS, 256 KiB
  "qboot.rom", // firmware that starts a kernel from fw_cfg
  "linuxboot_dma.bin", // an option ROM that has SeaBIOS do the same
] as const;

/** Those that `makeFirstFileSystems` makes from others. */
export const MADE: readonly GuestName[] = ["initramfs.cpio", "probe", "devices.cpio"];

/** The name of one guest file. */
export type GuestName = typeof GUESTS[number];

/**
 * The folder that holds the guests.
 *
 * @returns `$XDG_CACHE_HOME/hvsh/guests`, with `~/.cache` when the variable is unset or relative
 * (the XDG Base Directory Specification has relative ones ignored)
 */
export function guestsDirectory(): string {
  return join(cacheDirectory(), "guests");
}

/**
 * The folder for everything that hvsh can fetch or build again.
 *
 * @returns `$XDG_CACHE_HOME/hvsh`
 */
export function cacheDirectory(): string {
  const base = Deno.env.get("XDG_CACHE_HOME") ?? "";
  return join(base.startsWith("/") ? base : join(Deno.env.get("HOME") ?? "/", ".cache"), "hvsh");
}

/**
 * The path of a guest file, the same on this host and in the emulated one.
 *
 * @param name which guest
 * @returns its absolute path, whether or not it exists: ask `hasGuest`
 */
export function guestPath(name: GuestName): string {
  return join(guestsDirectory(), name);
}

/**
 * Tells whether setup has provided a guest.
 *
 * @param name which guest
 * @returns true if its file is there
 */
export function hasGuest(name: GuestName): boolean {
  try {
    Deno.statSync(guestPath(name));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
