/**
 * The few BIOS calls that real-mode setup code can't do without: a memory map (INT 15h), output and
 * input on the first serial port as if it were the display and the keyboard (INT 10h, INT 16h), and
 * the clock's ticks. Everything else answers "no such function". It stands in for firmware only
 * where a kernel is started by its real-mode entry.
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";
import { Address } from "../board.ts";
import type { GuestMemory } from "../guest_memory.ts";
import {
  answer,
  CLOCK,
  DISK,
  HALT,
  IGNORE,
  IRQ,
  KEYBOARD,
  powerOn,
  system,
  TICK,
  VIDEO,
} from "./bios_calls.ts";
import { assemble } from "./listing.ts";
import { BootE820Entry } from "./boot_params.ts";
import { memoryMap } from "./e820.ts";
import type { Image } from "./image.ts";
import { memoryError, ramEnd } from "./placement.ts";

/** The BIOS's segment, and where in it the code and the INT 15h map are. */
const SEGMENT = 0xf000;
const CODE = 0xf000;
const MAP = 0xf800;
const MAP_ENTRIES = Math.floor((0x1_0000 - MAP) / BootE820Entry.size);
const SIXTEEN_MIB = 16 << 20;
const VECTORS = 256;
const DATA_AREA = 0x400;
/** INT 11h: one serial port, 80 columns in colour. */
const EQUIPMENT = 0x0220;
/** INT 12h: KiB of low memory. */
const LOW_KIB = Math.floor(Address.EBDA / 1024);

/** Words of the BIOS data area, by address. */
const DATA: readonly (readonly [address: number, value: number])[] = [
  [0x400, 0x3f8], // COM1
  [0x40e, Address.EBDA >> 4],
  [0x410, EQUIPMENT],
  [0x413, LOW_KIB],
  [0x449, 0x5003], // video mode 3, and the low byte of 80 columns
  [0x44a, 80],
  [0x484, 24], // last row
];

/**
 * Puts the calls, their interrupt vectors and the BIOS data area into memory.
 *
 * @param memory The guest's memory
 * @param image The kernel that needs them, for messages
 * @param segment Segment of the kernel's real-mode code, which is entered at offset 0
 * @returns Where the vCPU has to begin so that the timer runs when the kernel is entered
 * @throws {ImageError} If there is no RAM below 1 MiB, or it has more pieces than the map holds
 */
export function installBios(
  memory: GuestMemory,
  image: Image,
  segment: number,
): { cs: number; ip: number } {
  if (ramEnd(memory, 0) < Address.HIGH) {
    throw memoryError(memory, image, "the BIOS's data", Address.HIGH);
  }
  let at = CODE;
  const put = (listing: string) => {
    const code = assemble(listing);
    memory.write(SEGMENT * 16 + at, code);
    at += code.length;
    return at - code.length;
  };
  const vectors = memory.view(0, VECTORS * 4);
  const serve = (listing: string, ...numbers: number[]) => {
    const offset = put(listing);
    for (const number of numbers) {
      vectors.setUint16(number * 4, offset, true);
      vectors.setUint16(number * 4 + 2, SEGMENT, true);
    }
  };
  const ip = put(powerOn(segment));
  serve(IGNORE, ...Array.from({ length: VECTORS }, (_, i) => i));
  serve(TICK, 0x08);
  serve(IRQ, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f);
  serve(IRQ, 0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77);
  serve(VIDEO, 0x10);
  serve(answer(EQUIPMENT), 0x11);
  serve(answer(LOW_KIB), 0x12);
  serve(DISK, 0x13);
  serve(system({ map: MAP, ...writeMap(memory, image) }), 0x15);
  serve(KEYBOARD, 0x16);
  serve(HALT, 0x18, 0x19);
  serve(CLOCK, 0x1a);
  const data = memory.view(DATA_AREA, 0x100);
  for (const [address, value] of DATA) data.setUint16(address - DATA_AREA, value, true);
  return { cs: SEGMENT, ip };
}

/** Writes INT 15h's map, and counts memory in the older calls' units. */
function writeMap(memory: GuestMemory, image: Image) {
  const ranges = memoryMap(memory);
  if (ranges.length > MAP_ENTRIES) {
    throw new ImageError(
      `${image.path}: memory has ${ranges.length} pieces, INT 15h tells of ${MAP_ENTRIES}`,
    );
  }
  ranges.forEach(({ addr, size, type }, i) => {
    const at = SEGMENT * 16 + MAP + i * BootE820Entry.size;
    Object.assign(new BootE820Entry(memory.view(at, BootE820Entry.size)), { addr, size, type });
  });
  const extended = ramEnd(memory, Address.HIGH) - Address.HIGH;
  const below16 = Math.min(extended, SIXTEEN_MIB - Address.HIGH);
  return {
    entries: ranges.length,
    below16: Math.floor(below16 / 1024),
    above16: Math.min(Math.floor((extended - below16) / 0x1_0000), 0xffff),
    extended: Math.min(Math.floor(extended / 1024), 0xffff),
  };
}
