/**
 * A walk over zstd frames (RFC 8878 §3.1): node:zlib gives the part that it could unpack of a frame
 * that is cut off, and says nothing.
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";

const FRAME_MAGIC = 0xfd2f_b528;
/** Skippable frames have 16 magic numbers, from this one on. */
const SKIPPABLE_MAGIC = 0x184d_2a50;
const BLOCK_TYPE_RLE = 1;

/**
 * Makes sure that bytes are zstd frames up to their end.
 *
 * @param bytes One frame or more
 * @param where What messages call the bytes
 * @throws {ImageError} If a frame is cut off or something else follows the last one
 */
export function requireWholeFrames(bytes: Uint8Array, where: string): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  try {
    while (at < bytes.length) at = frameEnd(view, at);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    at = Infinity;
  }
  if (at !== bytes.length) {
    throw new ImageError(`${where}: zstd stream ends too early or has something behind it`, {
      hint: "the file is damaged or cut off",
    });
  }
}

/** Where the frame at `at` ends; throws `RangeError` if that is past the end of the view. */
function frameEnd(view: DataView, at: number): number {
  const magic = view.getUint32(at, true);
  if ((magic & ~0xf) === SKIPPABLE_MAGIC) return at + 8 + view.getUint32(at + 4, true);
  if (magic !== FRAME_MAGIC) throw new RangeError("no frame");
  const descriptor = view.getUint8(at + 4);
  const singleSegment = (descriptor >> 5) & 1;
  const contentSize = [singleSegment, 2, 4, 8][descriptor >> 6]!;
  at += 5 + (1 - singleSegment) + [0, 1, 2, 4][descriptor & 3]! + contentSize;
  for (let last = 0; last === 0;) {
    const header = view.getUint8(at) | (view.getUint16(at + 1, true) << 8);
    last = header & 1;
    at += 3 + (((header >> 1) & 3) === BLOCK_TYPE_RLE ? 1 : header >> 3);
  }
  return at + ((descriptor >> 2) & 1) * 4;
}
