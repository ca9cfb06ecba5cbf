/**
 * A writer of cpio archives in the "newc" format, the one that Linux unpacks as an initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst), so that building a guest's first
 * file system needs neither a cpio binary nor root for the device nodes.
 *
 * @module
 */
import { type Bytes, sequence } from "./byte_sequence.ts";

/** One entry of an archive: a folder, a file, a symbolic link or a character device. */
export type CpioEntry =
  & { path: string; mode?: number }
  & (
    | { type: "directory" }
    | { type: "file"; data: Uint8Array }
    | { type: "symlink"; target: string }
    | { type: "device"; major: number; minor: number }
  );

/** File type bits of `c_mode` (inode(7)). */
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const S_IFCHR = 0o020000;

const HEADER_BYTES = 110;
const encoder = new TextEncoder();

/**
 * Packs entries into an uncompressed newc archive that ends with its `TRAILER!!!` entry.
 *
 * Everything belongs to root and is dated 1970, so that the same entries give the same bytes.
 * A folder must come before what it holds: the kernel makes no missing parents.
 *
 * @param entries what to pack, in this order; paths are relative to the root, with no leading slash
 * @returns the archive
 * @throws {RangeError} if a path is empty or starts with a slash
 * @example
 * ```ts
 * import { cpio } from "./cpio.ts";
 * import assert from "node:assert/strict";
 *
 * const archive = cpio([{ path: "init", type: "file", data: new Uint8Array(3), mode: 0o755 }]);
 * assert.equal(new TextDecoder().decode(archive.subarray(0, 6)), "070701");
 * ```
 */
export function cpio(entries: Iterable<CpioEntry>): Bytes {
  const chunks: Uint8Array[] = [];
  let ino = 1;
  for (const entry of entries) {
    if (entry.path === "" || entry.path.startsWith("/")) {
      throw new RangeError(`Cannot pack "${entry.path}": a path in a cpio archive is relative`);
    }
    chunks.push(...record(ino++, entry));
  }
  chunks.push(header({ ino: 0, mode: 0, size: 0, major: 0, minor: 0, name: "TRAILER!!!" }));
  return sequence(...chunks);
}

function record(ino: number, entry: CpioEntry): Uint8Array[] {
  const name = entry.path;
  const plain = { ino, size: 0, major: 0, minor: 0, name };
  switch (entry.type) {
    case "directory":
      return [header({ ...plain, mode: S_IFDIR | (entry.mode ?? 0o755) })];
    case "device": {
      const { major, minor } = entry;
      return [header({ ...plain, major, minor, mode: S_IFCHR | (entry.mode ?? 0o600) })];
    }
    case "symlink":
      return body(plain, S_IFLNK | 0o777, encoder.encode(entry.target));
    case "file":
      return body(plain, S_IFREG | (entry.mode ?? 0o644), entry.data);
  }
}

type Header = {
  ino: number;
  mode: number;
  size: number;
  major: number;
  minor: number;
  name: string;
};

function body(plain: Omit<Header, "mode">, mode: number, data: Uint8Array): Uint8Array[] {
  return [header({ ...plain, mode, size: data.length }), data, padding(data.length)];
}

/** The 13 fields are 8 hexadecimal digits each; the name with its NUL pads the header to 4 bytes. */
function header({ ino, mode, size, major, minor, name }: Header): Uint8Array {
  const bytes = encoder.encode(name + "\0");
  const nlink = 1;
  // c_ino c_mode c_uid c_gid c_nlink c_mtime c_filesize c_devmajor c_devminor c_rdevmajor
  // c_rdevminor c_namesize c_check; the checksum is zero in "070701".
  const fields = [ino, mode, 0, 0, nlink, 0, size, 0, 0, major, minor, bytes.length, 0];
  const text = "070701" + fields.map((field) => field.toString(16).padStart(8, "0")).join("");
  return sequence(encoder.encode(text), bytes, padding(HEADER_BYTES + bytes.length));
}

function padding(length: number): Uint8Array {
  return new Uint8Array((4 - length % 4) % 4);
}
