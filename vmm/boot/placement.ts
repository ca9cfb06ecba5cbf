/**
 * Where loaders put things in guest memory, and the errors when there is no room.
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";
import { Address } from "../board.ts";
import type { GuestMemory } from "../guest_memory.ts";
import { hex, type Image } from "./image.ts";

/** What lies where between `Address.LOADER` and `Address.LOADER_END`. */
export const Low = {
  /** `struct boot_params`, one page. */
  BOOT_PARAMS: Address.LOADER,
  /** The loader's GDT. */
  GDT: 0x8000,
  /** Six pages of page tables. */
  PAGE_TABLES: 0x9000,
  /** PVH's or multiboot's information, up to `Address.LOADER_END`. */
  INFO: 0x1_0000,
} as const;

/** The command line's room ends here. */
export const CMDLINE_END = Address.CMDLINE + 0x1_0000;

const MIB = 1 << 20;
const PAGE = 0x1000;

/** Rounds up to whole pages. */
export function pageUp(address: number): number {
  return Math.ceil(address / PAGE) * PAGE;
}

/**
 * Where the RAM that holds an address ends.
 *
 * @param memory The guest's memory
 * @param address A guest-physical address
 * @returns The first address behind that piece of RAM, or `address` itself where there is no RAM
 */
export function ramEnd(memory: GuestMemory, address: number): number {
  const region = memory.regions[memory.find(address, 1)];
  return region?.ram ? region.base + region.buffer.byteLength : address;
}

/**
 * The error for a thing that doesn't fit into RAM.
 *
 * @param memory The guest's memory
 * @param image The image at fault
 * @param what What doesn't fit
 * @param end Where RAM would have to reach to hold it
 * @returns The error, to be thrown; its hint gives the memory size to ask for, where one helps
 */
export function memoryError(
  memory: GuestMemory,
  image: Image,
  what: string,
  end: number,
): ImageError {
  const mebibytes = Math.ceil(end / MIB);
  if (end > Address.LOW_RAM_END) {
    return new ImageError(
      `${image.path}: ${what} would end at ${hex(end)}, above the ${
        hex(Address.LOW_RAM_END)
      } where low memory ends`,
    );
  }
  const has = ramEnd(memory, 0);
  return new ImageError(
    `${image.path}: ${what} needs memory up to ${hex(end)} (${mebibytes} MiB), the machine has ${
      has % MIB === 0 ? `${has / MIB} MiB` : `${has} bytes`
    } in one piece from 0`,
    { hint: `hvsh create -m ${mebibytes}M` },
  );
}

/**
 * Makes sure that a part of an image may lie where its header wants it: in one piece of RAM, and
 * not on what the loader and the firmware tables put into low memory.
 *
 * @param memory The guest's memory
 * @param image The image the part belongs to
 * @param address Where its header wants it
 * @param length Its bytes
 * @param what The part, for messages: a header field and its offset
 * @throws {ImageError} If it can't lie there
 */
export function requireRam(
  memory: GuestMemory,
  image: Image,
  address: number,
  length: number,
  what: string,
): void {
  const end = address + length;
  for (const [from, to] of [[Address.LOADER, CMDLINE_END], [Address.EBDA, Address.HIGH]] as const) {
    if (address < to && end > from) {
      throw new ImageError(
        `${image.path}: ${what} puts ${length} bytes at ${
          hex(address)
        }, on the machine's own tables at ${hex(from)}-${hex(to - 1)}`,
      );
    }
  }
  const top = ramEnd(memory, address);
  if (top > address && end <= top) return;
  throw memoryError(memory, image, `${what}, ${length} bytes at ${hex(address)},`, end);
}

/**
 * Copies a RAM disk in as high as it may lie, on a page boundary.
 *
 * @param memory The guest's memory
 * @param image The RAM disk
 * @param lowest First address that the kernel leaves free
 * @param highest Highest address that its last byte may have
 * @returns Its address
 * @throws {ImageError} If there is no room between the two
 */
export function placeInitrd(
  memory: GuestMemory,
  image: Image,
  lowest: number,
  highest: number,
): number {
  const { length } = image.bytes;
  const top = Math.min(highest + 1, ramEnd(memory, Math.max(lowest - 1, 0)));
  const address = Math.floor((top - length) / PAGE) * PAGE;
  if (address < pageUp(lowest)) {
    throw memoryError(memory, image, "the initial RAM disk", pageUp(lowest) + pageUp(length));
  }
  memory.write(address, image.bytes);
  return address;
}

/**
 * Copies a command line in at `Address.CMDLINE`, with the zero byte that ends it.
 *
 * @param memory The guest's memory
 * @param image The kernel it is for, for messages
 * @param cmdline The command line
 * @param most Most bytes that the kernel takes, without the zero byte
 * @returns Its address
 * @throws {ImageError} If it is longer than that or has a zero byte inside
 */
export function placeCmdline(
  memory: GuestMemory,
  image: Image,
  cmdline: string,
  most: number,
): number {
  const text = new TextEncoder().encode(`${cmdline}\0`);
  const room = Math.min(most, CMDLINE_END - Address.CMDLINE - 1);
  if (text.length - 1 > room) {
    throw new ImageError(
      `${image.path}: the command line has ${text.length - 1} bytes, this kernel takes ${room}`,
    );
  }
  if (text.indexOf(0) !== text.length - 1) {
    throw new ImageError(`${image.path}: the command line has a zero byte inside`);
  }
  if (ramEnd(memory, Address.CMDLINE) < Address.CMDLINE + text.length) {
    throw memoryError(memory, image, "the command line", Address.CMDLINE + text.length);
  }
  memory.write(Address.CMDLINE, text);
  return Address.CMDLINE;
}
