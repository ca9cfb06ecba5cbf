/**
 * Firmware: a ROM that ends at 4 GiB, where the reset vector is, and its last part once more below
 * 1 MiB.
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";
import { Address } from "../board.ts";
import type { StartState } from "../cpu/start_state.ts";
import type { GuestMemory } from "../guest_memory.ts";
import type { Image } from "./image.ts";
import { memoryError, ramEnd } from "./placement.ts";

const PAGE = 0x1000;
/** From here on up no device has registers (the local APIC's page is at 0xfee00000). */
const MOST = 16 << 20;
/** What PC chipsets show of the ROM below 1 MiB, and what they have there at most as shadow RAM. */
const ISA_BIOS = 128 << 10;
const SHADOW = 256 << 10;

/** A piece of read-only memory. */
export interface RomRegion {
  /** Its first guest-physical address. */
  readonly base: number;
  /** Its bytes. */
  readonly size: number;
}

/**
 * Where a firmware's ROM lies: its last byte is the last one below 4 GiB.
 *
 * @param image The firmware
 * @returns The region to map before {@linkcode loadFirmware}
 * @throws {ImageError} If its size is not one that a ROM can have
 * @example
 * ```ts
 * import { firmwareRegion } from "./firmware.ts";
 *
 * const { base } = firmwareRegion({ path: "qboot.rom", bytes: new Uint8Array(0x10000) });
 * console.log(base.toString(16)); // ffff0000
 * ```
 */
export function firmwareRegion(image: Image): RomRegion {
  const size = image.bytes.length;
  if (size === 0 || size % PAGE !== 0 || size > MOST) {
    throw new ImageError(
      `${image.path}: firmware has ${size} bytes; it must be a multiple of ${PAGE}, up to ${MOST}`,
      { hint: "pad it at its begin, so that its end stays at 4 GiB" },
    );
  }
  return { base: Address.FOUR_GIB - size, size };
}

/**
 * Copies firmware into its ROM, and its end to below 1 MiB as RAM: that is where its 16-bit code runs,
 * and where chipsets let it write after it has asked for that. What fits there is there whole, as
 * SeaBIOS of 256 KiB has it after its copy by a chipset's registers; of more, the last 128 KiB.
 *
 * @param memory The guest's memory, with the ROM of {@linkcode firmwareRegion} in it
 * @param image The firmware
 * @returns The reset state
 * @throws {ImageError} If its size is not one that a ROM can have, or there is no RAM below 1 MiB
 */
export function loadFirmware(memory: GuestMemory, image: Image): StartState {
  const { base, size } = firmwareRegion(image);
  const low = size <= SHADOW ? size : ISA_BIOS;
  if (ramEnd(memory, Address.HIGH - low) < Address.HIGH) {
    throw memoryError(memory, image, "the firmware's copy below 1 MiB", Address.HIGH);
  }
  memory.write(base, image.bytes);
  memory.write(Address.HIGH - low, image.bytes.subarray(size - low));
  return { mode: "reset", ip: 0xfff0 };
}
