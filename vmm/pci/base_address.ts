/**
 * Base address registers (PCI 3.0 §6.2.5.1): which of their bits can be written, the address that
 * they hold, and where a free one is.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import type { PciBar } from "./function.ts";
import { At } from "./configuration_space.ts";

const FOUR_GIB = 2 ** 32;
const REGISTERS = 6;

/** Largest and smallest size of each kind. A BAR takes at most 256 ports. */
const SIZES = {
  io: [4, 256],
  mem32: [16, 2 ** 31],
  mem64: [16, 2 ** 48],
} as const;

/** A range of addresses or ports. */
export interface Span {
  readonly base: number;
  readonly size: number;
}

/** Offset of a BAR's register in configuration space. */
export function registerOf({ index }: PciBar): number {
  return At.base_address + 4 * index;
}

/** Bits of the (first) register that say what kind it is; they can't be written. */
export function typeBits({ kind, prefetchable = false }: PciBar): number {
  if (kind === "io") return 0b01;
  return (kind === "mem64" ? 0b100 : 0) | (prefetchable ? 0b1000 : 0);
}

/** Bits of the (first) register that can be written: those that the size leaves to the address. */
export function lowMask({ size }: PciBar): number {
  return size >= FOUR_GIB ? 0 : -size >>> 0;
}

/** Bits of a 64-bit BAR's second register that can be written. */
export function highMask({ size }: PciBar): number {
  return size > FOUR_GIB ? -(size / FOUR_GIB) >>> 0 : 0xffff_ffff;
}

/**
 * The address that a BAR holds, decoded or not.
 *
 * @param view The function's state
 * @param bar The BAR
 * @returns Its address or first port
 */
export function baseOf(view: DataView, bar: PciBar): number {
  const register = registerOf(bar);
  const low = (view.getUint32(register, true) & lowMask(bar)) >>> 0;
  if (bar.kind !== "mem64") return low;
  return low + ((view.getUint32(register + 4, true) & highMask(bar)) >>> 0) * FOUR_GIB;
}

/**
 * Puts an address into a BAR.
 *
 * @param view The function's state
 * @param bar The BAR
 * @param base A multiple of its size
 */
export function setBase(view: DataView, bar: PciBar, base: number): void {
  const register = registerOf(bar);
  view.setUint32(register, (base % FOUR_GIB) + typeBits(bar), true);
  if (bar.kind === "mem64") view.setUint32(register + 4, Math.floor(base / FOUR_GIB), true);
}

/**
 * Whether a BAR at an address lies in one of the ranges that are passed down to the bus.
 *
 * @param windows The ranges
 * @param base The address
 * @param size The BAR's size
 * @returns Whether it lies wholly in one
 */
export function isWithin(windows: readonly Span[], base: number, size: number): boolean {
  return windows.some((window) => base >= window.base && base + size <= window.base + window.size);
}

/**
 * Finds the lowest free place for a BAR.
 *
 * @param windows Ranges that may be used, in order of preference
 * @param taken What is in use
 * @param size The BAR's size, to which it is aligned
 * @returns An address; undefined if there is no room
 */
export function findPlace(
  windows: readonly Span[],
  taken: readonly Span[],
  size: number,
): number | undefined {
  const alignUp = (address: number) => Math.ceil(address / size) * size;
  for (const window of windows) {
    let base = alignUp(window.base);
    while (base + size <= window.base + window.size) {
      const at = base;
      const other = taken.find((span) => span.base < at + size && at < span.base + span.size);
      if (other === undefined) return base;
      base = alignUp(other.base + other.size);
    }
  }
  return undefined;
}

/**
 * Makes sure that a function's BARs can be.
 *
 * @param owner The function's name, for messages
 * @param bars Its BARs
 * @throws {DocumentError} If one can't be, or two want the same register
 */
export function checkBars(owner: string, bars: readonly PciBar[]): void {
  const taken = new Set<number>();
  for (const { index, kind, size } of bars) {
    const [least, most] = SIZES[kind];
    if (!(size >= least && size <= most && Number.isInteger(Math.log2(size)))) {
      throw new DocumentError(
        `Device ${owner}: BAR ${index} has ${size} bytes, not a power of two from ${least} to ${most}`,
      );
    }
    for (const register of kind === "mem64" ? [index, index + 1] : [index]) {
      if (!Number.isInteger(register) || register < 0 || register >= REGISTERS) {
        throw new DocumentError(`Device ${owner}: there is no BAR ${register}, only 0 to 5`);
      }
      if (taken.has(register)) {
        throw new DocumentError(`Device ${owner}: BAR ${register} is there twice`);
      }
      taken.add(register);
    }
  }
}
