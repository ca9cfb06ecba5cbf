/**
 * Guest images as read from disk: what kind a file is, and checked access to its parts.
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";
import { findMultibootHeader } from "./multiboot_header.ts";

/** A guest image: where it came from, and its bytes. */
export interface Image {
  /** The path as the user knows it, for messages. */
  readonly path: string;
  /** The whole file. */
  readonly bytes: Uint8Array;
}

/** What the first bytes of a file say it is. */
export type ImageKind =
  | "bzimage"
  | "elf32"
  | "elf64"
  | "multiboot"
  | "bootsector"
  | "tar"
  | "document"
  | "zstd"
  | "gzip"
  | "xz"
  | "unknown";

/** Whether `bytes` has these values at `offset`. */
export function hasBytes(bytes: Uint8Array, offset: number, values: readonly number[]): boolean {
  return offset + values.length <= bytes.length &&
    values.every((value, i) => bytes[offset + i] === value);
}

const ELF = [0x7f, 0x45, 0x4c, 0x46];
const HDRS = [0x48, 0x64, 0x72, 0x53];
const USTAR = [0x75, 0x73, 0x74, 0x61, 0x72];

/**
 * Tells what a file is by its magic numbers. A kernel that several boot protocols fit is named by
 * the one that says most: a bzImage is also a boot sector, a multiboot kernel often also an ELF.
 *
 * @param bytes The file, or at least its first 8 KiB
 * @returns Its kind
 * @example
 * ```ts
 * import { detectImage } from "./image.ts";
 *
 * console.log(detectImage(new TextEncoder().encode('{"vm":1}'))); // document
 * ```
 */
export function detectImage(bytes: Uint8Array): ImageKind {
  if (hasBytes(bytes, 0x202, HDRS)) return "bzimage";
  if (findMultibootHeader(bytes) !== undefined) return "multiboot";
  if (hasBytes(bytes, 0, ELF)) {
    if (bytes[4] === 1) return "elf32";
    return bytes[4] === 2 ? "elf64" : "unknown";
  }
  if (hasBytes(bytes, 257, USTAR)) return "tar";
  if (hasBytes(bytes, 0, [0x28, 0xb5, 0x2f, 0xfd])) return "zstd";
  if (hasBytes(bytes, 0, [0x1f, 0x8b])) return "gzip";
  if (hasBytes(bytes, 0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])) return "xz";
  if (hasBytes(bytes, 510, [0x55, 0xaa])) return "bootsector";
  const first = bytes.find((byte) => !(byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)));
  return first === 0x7b ? "document" : "unknown";
}

/** A number as messages show addresses and offsets. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/**
 * The error for a header field that cannot be true.
 *
 * @param image The image it is in
 * @param field The field's name as the specification has it
 * @param at Its byte offset in the image
 * @param problem What is wrong, to follow "FIELD (byte 0x…)"
 * @param hint The next step
 * @returns The error, to be thrown
 */
export function fieldError(
  image: Image,
  field: string,
  at: number,
  problem: string,
  hint?: string,
): ImageError {
  return new ImageError(
    `${image.path}: ${field} (byte ${hex(at)}) ${problem}`,
    hint === undefined ? {} : { hint },
  );
}

/**
 * The part of an image that a pair of header fields speaks of.
 *
 * @param image The image
 * @param offset Where the part begins
 * @param length Its bytes
 * @param field The field that is to blame when the part isn't wholly in the file
 * @param at That field's byte offset
 * @returns A view of the bytes, not a copy
 * @throws {ImageError} If the part isn't wholly in the file
 */
export function imagePart(
  image: Image,
  offset: number,
  length: number,
  field: string,
  at: number,
): Uint8Array {
  const total = image.bytes.length;
  if (!(offset >= 0 && offset <= total && length >= 0 && length <= total - offset)) {
    throw fieldError(
      image,
      field,
      at,
      `asks for ${length} bytes at ${hex(offset)}, the file has ${total}`,
      "the file is cut off or is not what it says it is",
    );
  }
  return image.bytes.subarray(offset, offset + length);
}

/**
 * A DataView over an image's bytes, for struct accessors.
 *
 * @param bytes The bytes
 * @returns A view with the same range
 */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
