/**
 * Reads image files.
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";
import { formatSize } from "../size.ts";
import type { Image } from "./image.ts";

/** A concatenated initramfs starts each archive on this boundary (Linux buffer-format.rst). */
const ARCHIVE_ALIGNMENT = 4;
/** More than any machine boots, even from a vmlinux with all its debugging information. */
const MOST_BYTES = 2 ** 31;

/**
 * Reads an image file, no more of it than its size says: files of /proc say 0 and go on for ever.
 *
 * @param path Its path
 * @param most The most bytes that it may have
 * @returns Its bytes
 * @throws {ImageError} If it is no plain file, too large, or cannot be read
 */
export async function readImage(path: string, most: number = MOST_BYTES): Promise<Image> {
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) throw new ImageError(`${path}: it is not a plain file`);
    if (size > most) {
      throw new ImageError(
        `${path}: it has ${size} bytes; all images together may have ${formatSize(MOST_BYTES)}`,
      );
    }
    using file = await Deno.open(path);
    const bytes = new Uint8Array(size);
    let length = 0;
    while (length < size) {
      const count = await file.read(bytes.subarray(length));
      if (count === null) break; // it has been cut off meanwhile
      length += count;
    }
    return { path, bytes: bytes.subarray(0, length) };
  } catch (error) {
    if (error instanceof ImageError) throw error;
    const reason = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : (error as Error).message;
    throw new ImageError(`${path}: ${reason}`, { cause: error });
  }
}

/**
 * Reads image files one after the other, so that many large ones do not fill the host's memory.
 *
 * @param paths Their paths
 * @returns Their bytes, in the same order
 * @throws {ImageError} If one cannot be read, or they are too large together
 */
export async function readImages(paths: readonly string[]): Promise<Image[]> {
  const images: Image[] = [];
  let left = MOST_BYTES;
  for (const path of paths) {
    const image = await readImage(path, left);
    left -= image.bytes.length;
    images.push(image);
  }
  return images;
}

/**
 * Reads initial RAM disks and joins them, as the kernel takes them one behind the other.
 *
 * @param paths Their paths
 * @returns One image; undefined if there are none
 * @throws {ImageError} If one cannot be read
 */
export async function readInitrd(paths: readonly string[]): Promise<Image | undefined> {
  const images = await readImages(paths);
  if (images.length <= 1) return images[0];
  const padded = (length: number) => Math.ceil(length / ARCHIVE_ALIGNMENT) * ARCHIVE_ALIGNMENT;
  const bytes = new Uint8Array(images.reduce((sum, image) => sum + padded(image.bytes.length), 0));
  let at = 0;
  for (const image of images) {
    bytes.set(image.bytes, at);
    at += padded(image.bytes.length);
  }
  return { path: images.map(({ path }) => path).join(" + "), bytes };
}
