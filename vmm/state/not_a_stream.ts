/**
 * What was given in place of a stream, by its first bytes.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";

const MAGICS: readonly (readonly [magic: string, what: string, hint: string])[] = [
  ["\x28\xb5\x2f\xfd", "is compressed with zstd", "zstd -d | hvsh restore"],
  ["\x1f\x8b", "is compressed with gzip", "gzip -d | hvsh restore"],
  ["\xfd7zXZ\0", "is compressed with xz", "xz -d | hvsh restore"],
  ["BZh", "is compressed with bzip2", "bzip2 -d | hvsh restore"],
  ['{"live"', "is a handle", "hvsh snapshot | hvsh restore"],
  ["{", "is a VM document", "hvsh run"],
];

/**
 * The error of whoever looked for a stream.
 *
 * @param bytes The first ones
 * @param otherwise What to say of bytes that nobody knows
 */
export function notAStream(bytes: Uint8Array, otherwise: string): DocumentError {
  const known = MAGICS.find(([magic]) =>
    [...magic].every((letter, i) => bytes[i] === letter.charCodeAt(0))
  );
  return known === undefined
    ? new DocumentError(otherwise, { hint: "did the stage before fail?" })
    : new DocumentError(`What comes first ${known[1]}, and no stream`, { hint: known[2] });
}
