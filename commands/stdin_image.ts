/**
 * An image that comes on stdin, put into the document.
 *
 * @module
 */
import { ImageError, UsageError } from "../ffi/errors.ts";
import { formatSize } from "../vmm/size.ts";
import { parsePlaced } from "./placed_file.ts";

/** It becomes text in the document; what boots is a boot sector or a test program. */
const MOST_BYTES = 2 ** 26;

/**
 * Replaces `-` by the bytes that stdin has.
 *
 * @param words Words of `flat`, `FILE[@ADDR]`
 * @param readStdin Reads stdin to its end
 * @returns The words with `-` as a URL of RFC 2397, which `flat` takes
 * @throws {UsageError} If more than one of them is `-`
 */
export async function inlineStdin(
  words: readonly string[],
  readStdin: () => Promise<Uint8Array>,
): Promise<string[]> {
  const isStdin = words.map((word) => /^-(@|$)/.test(word) && parsePlaced(word).what === "-");
  if (isStdin.filter(Boolean).length > 1) throw new UsageError("Two images cannot both be stdin");
  return await Promise.all(words.map(async (word, i) => {
    if (!isStdin[i]) return word;
    return `data:;base64,${(await readStdin()).toBase64()}${word.slice(1)}`;
  }));
}

/**
 * Reads an image to its end.
 *
 * @param chunks Its bytes
 * @returns The same, as one
 * @throws {ImageError} If there is no end within {@linkcode MOST_BYTES}
 */
export async function readStream(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    pieces.push(chunk);
    length += chunk.length;
    if (length > MOST_BYTES) {
      throw new ImageError(`The image on stdin is larger than ${formatSize(MOST_BYTES)}`, {
        hint: "write it to a file, and name that",
      });
    }
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
