/**
 * A register as a piece, or several, of an area of bytes that KVM gives and takes whole.
 *
 * @module
 */

/** A register in an area. */
export interface AreaRegister {
  readonly name: string;
  /** Its bytes, the lowest first. */
  readonly pieces: readonly { readonly offset: number; readonly size: number }[];
}

/**
 * A register of one piece.
 *
 * @param name Its name
 * @param offset Where it lies
 * @param size Bytes
 */
export function areaRegister(name: string, offset: number, size: number): AreaRegister {
  return { name, pieces: [{ offset, size }] };
}

/** Bits of a register. */
export function registerBits({ pieces }: AreaRegister): number {
  return pieces.reduce((sum, { size }) => sum + size * 8, 0);
}

/**
 * Reads a register.
 *
 * @param area The area
 * @param register The register
 * @returns Its value, unsigned
 */
export function readRegister(area: Uint8Array, { pieces }: AreaRegister): bigint {
  let text = "";
  for (const { offset, size } of pieces) {
    text = area.slice(offset, offset + size).reverse().toHex() + text;
  }
  return BigInt(`0x${text}`);
}

/**
 * Writes a register.
 *
 * @param area The area
 * @param register The register
 * @param value Its value, unsigned and not too wide
 */
export function writeRegister(area: Uint8Array, { pieces }: AreaRegister, value: bigint): void {
  let rest = value;
  for (const { offset, size } of pieces) {
    for (let i = 0; i < size; i++) {
      area[offset + i] = Number(rest & 0xffn);
      rest >>= 8n;
    }
  }
}
