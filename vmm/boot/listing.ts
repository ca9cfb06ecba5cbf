/**
 * Machine code as listings: label, bytes, instruction.
 *
 * @module
 */

/** `label: bytes | instruction` */
const LINE = /^\s*(?:\w+:)?\s*((?:[0-9a-f]{2} )+)\s*\|/;

/**
 * The bytes of a listing.
 *
 * @param listing Lines `LABEL: BYTES | INSTRUCTION`, of which only the bytes count
 * @returns The bytes
 * @throws {SyntaxError} Naming a line that is none
 */
export function assemble(listing: string): Uint8Array<ArrayBuffer> {
  const lines = listing.split("\n").filter((line) => line.trim() !== "");
  return Uint8Array.from(lines.flatMap((line) => {
    const bytes = LINE.exec(line)?.[1];
    if (bytes === undefined) throw new SyntaxError(`Not a line of a listing: ${line}`);
    return bytes.trim().split(" ").map((byte) => parseInt(byte, 16));
  }));
}
