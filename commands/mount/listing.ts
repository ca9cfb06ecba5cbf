/**
 * A folder's listing as READDIR's answers have it: `struct fuse_dirent`s, each padded to 8 bytes.
 *
 * @module
 */
import { fuse_dirent } from "../../vmm/fuse/messages.ts";
import type { Entry } from "./node.ts";

/** What the kernel knows not: LOOKUP tells the number. */
const UNKNOWN_INO = 0xffff_ffffn;
/** `d_type` of readdir(3). */
const TYPE = { folder: 4, file: 8 } as const;
const ALIGN = 8;

const encoder = new TextEncoder();

/**
 * The part of a listing that fits into an answer.
 *
 * @param entries The whole listing
 * @param from Number of the first entry that is wanted
 * @param size Bytes at most
 * @returns The bytes; none at the end
 */
export function listing(entries: readonly Entry[], from: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [i, { name, kind }] of entries.entries()) {
    if (i < from) continue;
    const encoded = encoder.encode(name);
    const length = Math.ceil((fuse_dirent.size + encoded.length) / ALIGN) * ALIGN;
    if (at + length > size) break;
    const dirent = new fuse_dirent(view, at);
    dirent.ino = UNKNOWN_INO;
    dirent.off = BigInt(i + 1);
    dirent.namelen = encoded.length;
    dirent.type = TYPE[kind];
    bytes.set(encoded, at + fuse_dirent.size);
    at += length;
  }
  return bytes.subarray(0, at);
}
