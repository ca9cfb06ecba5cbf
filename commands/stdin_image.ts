/**
 * An image that comes on stdin, put into the document.
 *
 * @module
 */
import { parsePlaced } from "./placed_file.ts";
import { UsageError } from "../ffi/errors.ts";

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
