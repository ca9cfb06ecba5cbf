/**
 * Reads image files.
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";
import type { Image } from "./image.ts";

/** A concatenated initramfs starts each archive on this boundary (Linux buffer-format.rst). */
const ARCHIVE_ALIGNMENT = 4;

/**
 * Reads an image file.
 *
 * @param path Its path
 * @returns Its bytes
 * @throws {ImageError} If it is no plain file or cannot be read
 */
export async function readImage(path: string): Promise<Image> {
  try {
    const { isFile } = await Deno.stat(path);
    if (!isFile) throw new ImageError(`${path}: it is not a plain file`);
    return { path, bytes: await Deno.readFile(path) };
  } catch (error) {
    if (error instanceof ImageError) throw error;
    const reason = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : (error as Error).message;
    throw new ImageError(`${path}: ${reason}`, { cause: error });
  }
}

/**
 * Reads initial RAM disks and joins them, as the kernel takes them one behind the other.
 *
 * @param paths Their paths
 * @returns One image; undefined if there are none
 * @throws {ImageError} If one cannot be read
 */
export async function readInitrd(paths: readonly string[]): Promise<Image | undefined> {
  const images = await Promise.all(paths.map(readImage));
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
