/**
 * Feature negotiation (virtio 1.2 §2.2): bits in words of 32.
 *
 * @module
 */
import { Feature } from "./virtio_device.ts";

/** What every device here offers. */
const OF_EVERY_DEVICE = [Feature.INDIRECT_DESC, Feature.EVENT_IDX, Feature.VERSION_1];

type Words = readonly [low: number, high: number];

/** The feature bits that a device offers. */
export class OfferedFeatures {
  readonly #words: Words;
  readonly #everOffered: Words;

  /**
   * @param own The device's own bits, 0 to 63
   * @param former Those that it offered in earlier versions
   */
  constructor(own: readonly number[], former: readonly number[] = []) {
    this.#words = wordsOf([...own, ...OF_EVERY_DEVICE]);
    this.#everOffered = wordsOf([...own, ...former, ...OF_EVERY_DEVICE]);
  }

  /**
   * A word of them.
   *
   * @param select Which
   * @returns The bits; none beyond the second word
   */
  word(select: number): number {
    return select === 0 ? this.#words[0] : select === 1 ? this.#words[1] : 0;
  }

  /**
   * Whether a driver may choose some (§2.2.2, §6.1).
   *
   * @param low Bits 0 to 31
   * @param high Bits 32 to 63
   * @param beyond Any bits above those
   */
  accepts(low: number, high: number, beyond: number): boolean {
    return isChoice(this.#words, low, high, beyond);
  }

  /** Whether a driver that goes on from a saved state may have chosen some: then more was offered. */
  acceptsRestored(low: number, high: number, beyond: number): boolean {
    return isChoice(this.#everOffered, low, high, beyond);
  }
}

function wordsOf(bits: readonly number[]): Words {
  const words: [number, number] = [0, 0];
  for (const bit of bits) {
    const word = bit < 32 ? 0 : 1;
    words[word] = (words[word] | (1 << (bit & 31))) >>> 0;
  }
  return words;
}

function isChoice([offeredLow, offeredHigh]: Words, low: number, high: number, beyond: number) {
  return (low & ~offeredLow) === 0 && (high & ~offeredHigh) === 0 && beyond === 0 &&
    (high & (1 << (Feature.VERSION_1 - 32))) !== 0;
}
