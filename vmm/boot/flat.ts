/**
 * Flat images: bytes at an address, and a vCPU that starts on them.
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";
import { Address } from "../board.ts";
import type { StartState } from "../cpu/start_state.ts";
import type { GuestMemory } from "../guest_memory.ts";
import { hex, type Image } from "./image.ts";
import { GDT_SIZE, PAGE_TABLES_SIZE, writeGdt, writePageTables } from "./page_tables.ts";
import { memoryError, pageUp, ramEnd } from "./placement.ts";

/** Where a BIOS puts a boot sector. */
export const BOOT_SECTOR = 0x7c00;

const SEGMENT = 0x1_0000;
const PAGE = 0x1000;

/** A flat image and where it goes. */
export interface FlatImage extends Image {
  /** Guest-physical address of its first byte; {@linkcode BOOT_SECTOR} if left out. */
  readonly base?: number;
}

/** How the vCPU starts. */
export interface FlatOptions {
  /** Its mode; real mode if left out. */
  readonly mode?: "real" | "protected" | "long";
  /** Guest-physical address of the first instruction; the first image's begin if left out. */
  readonly entry?: number;
}

/** A range of guest-physical addresses. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * Puts flat images into memory. The stack begins below the first image.
 *
 * In real mode an entry below 64 KiB gets segments of 0, so that a boot sector finds itself at
 * 0000:7C00; above, all segments begin where the image does (code linked at 0 then runs). Protected
 * and long mode get flat segments with Linux's selectors, and long mode an identity map of the first
 * 4 GiB, in pages that no image uses.
 *
 * @param memory The guest's memory
 * @param images What to put where; the first one is the one to run
 * @param options Mode and entry point
 * @returns The state in which the first vCPU begins
 * @throws {ImageError} If an image is empty or doesn't lie in memory, or the mode can't reach the
 *   entry point
 */
export function loadFlat(
  memory: GuestMemory,
  images: readonly FlatImage[],
  options: FlatOptions = {},
): StartState {
  const [first] = images;
  if (first === undefined) throw new ImageError("No flat image to start");
  const taken = images.map((image) => place(memory, image));
  const { from: base } = taken[0]!;
  const { mode = "real", entry = base } = options;
  if (memory.find(entry, 1) < 0) {
    throw new ImageError(`${first.path}: entry ${hex(entry)} is not in the guest's memory`);
  }
  if (mode === "real") return realMode(first, base, entry);
  if (entry >= Address.FOUR_GIB) {
    throw new ImageError(`${first.path}: entry ${hex(entry)} is above 4 GiB, beyond ${mode} mode`);
  }
  // The page below the first image is its stack's.
  const used = [...taken, { from: Math.max(0, base - PAGE), to: base }];
  const tables = findRoom(memory, first, used, PAGE_TABLES_SIZE + GDT_SIZE);
  const gdt = writeGdt(memory, tables + PAGE_TABLES_SIZE, mode === "long" ? 64 : 32);
  const state = { mode, ip: entry, gdt, registers: { rsp: base } };
  if (mode === "protected") return state;
  writePageTables(memory, tables);
  return { ...state, pageTables: tables };
}

function place(memory: GuestMemory, image: FlatImage): Range {
  const { base = BOOT_SECTOR, bytes, path } = image;
  if (bytes.length === 0) throw new ImageError(`${path}: the image is empty`);
  const end = base + bytes.length;
  if (memory.find(base, bytes.length) < 0) {
    throw memoryError(memory, image, `${bytes.length} bytes at ${hex(base)}`, end);
  }
  memory.write(base, bytes);
  return { from: base, to: end };
}

function realMode(image: Image, base: number, entry: number): StartState {
  if (entry < SEGMENT) {
    return { mode: "real", cs: 0, ds: 0, ip: entry, registers: { rsp: base % SEGMENT } };
  }
  if (entry >= Address.HIGH) {
    throw new ImageError(`${image.path}: entry ${hex(entry)} is above 1 MiB, beyond real mode`, {
      hint: "give an address below 0x100000, or --mode protected or long",
    });
  }
  // From the image's begin, if its paragraph reaches the entry; else from the entry itself.
  const reach = entry - base >= 0 && entry - base < SEGMENT && base % 16 === 0;
  const segment = (reach ? base : entry) >> 4;
  return { mode: "real", cs: segment, ds: segment, ip: entry - segment * 16 };
}

/**
 * Finds pages in RAM that nothing in `used` touches: where other loaders have their tables, else as
 * high as possible, since programs like to use what is behind them.
 */
function findRoom(
  memory: GuestMemory,
  image: Image,
  used: readonly Range[],
  size: number,
): number {
  const below = (end: number) => Math.floor((end - size) / PAGE) * PAGE;
  const candidates = [
    Address.LOADER,
    below(Math.min(ramEnd(memory, 0), Address.EBDA)),
    below(Math.min(ramEnd(memory, Address.HIGH), Address.LOW_RAM_END)),
    ...used.map(({ to }) => pageUp(to)),
  ];
  const found = candidates.find((from) => {
    const to = from + size;
    return from >= 0 && to <= ramEnd(memory, from) && to <= Address.LOW_RAM_END &&
      (to <= Address.EBDA || from >= Address.HIGH) &&
      used.every((range) => to <= range.from || from >= range.to);
  });
  if (found !== undefined) return found;
  const last = Math.max(...used.map(({ to }) => to));
  throw memoryError(memory, image, "the page tables", Math.max(pageUp(last), Address.HIGH) + size);
}
