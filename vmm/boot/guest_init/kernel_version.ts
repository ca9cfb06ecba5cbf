/**
 * Which version a Linux image is, by which its modules are found.
 *
 * @module
 */
import { parseBzImage } from "../bzimage.ts";
import { detectImage, type Image } from "../image.ts";

/** `kernel_version` of the setup header counts from here (boot.rst). */
const VERSION_BASE = 0x200;
const MOST_VERSION = 256;
/** What `linux_banner` begins with (init/version-timestamp.c). */
const BANNER = "Linux version ";

/**
 * Reads a kernel's version, what `uname -r` says in it.
 *
 * @param image A bzImage or ELF
 * @returns `6.1.0-18-amd64`; undefined if the image does not say
 * @throws {ImageError} If a bzImage is damaged
 */
export function kernelVersion(image: Image): string | undefined {
  switch (detectImage(image.bytes)) {
    case "bzimage": {
      const { header, setup } = parseBzImage(image);
      if (header.kernel_version === 0) return undefined;
      return firstWord(setup, header.kernel_version + VERSION_BASE);
    }
    case "elf64": {
      const at = indexOfText(image.bytes, BANNER);
      return at < 0 ? undefined : firstWord(image.bytes, at + BANNER.length);
    }
    default:
      return undefined;
  }
}

function firstWord(bytes: Uint8Array, start: number): string | undefined {
  const text = new TextDecoder("latin1").decode(bytes.subarray(start, start + MOST_VERSION));
  // It becomes a part of paths.
  return /^(\d[\w.+~-]*)[\s\0]/.exec(text)?.[1];
}

/** Some decoders of text would take a gigabyte for it. */
function indexOfText(bytes: Uint8Array, text: string): number {
  const wanted = new TextEncoder().encode(text);
  for (let at = bytes.indexOf(wanted[0]!); at >= 0; at = bytes.indexOf(wanted[0]!, at + 1)) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}
