/**
 * An overlay's file: what was written over a base image that is never written itself.
 *
 *     0      header, 4096 bytes, little-endian:
 *              0   "HVSHOVL" NUL      magic
 *              8   u32 1              version
 *              12  u32                bytes of a cluster, 65536
 *              16  u64                bytes of the disk, those of the base
 *              24  u64                when the base was last changed, ns since 1970; 0 for block devices
 *              32  u64                where the bitmap lies, 4096
 *              40  u64                where the data lies, a multiple of the cluster
 *              48  u32                bytes of the base's path
 *              52  …                  the base's path, UTF-8: only for people
 *     4096   bitmap: a bit a cluster, lowest first; 1 if the cluster is in this file, 0 if in the base
 *     data   the clusters in their order, with holes where there are none
 *
 * The file ends where the disk's last cluster does, so that one of zeros can be a hole as well. One that
 * ends sooner is of an hvsh before, and grows when it is opened.
 *
 * A bit is written only after an fdatasync of its cluster, and a guest's flush ends after an fdatasync
 * of the bits. So a crash at any time leaves each cluster as the base has it or as the guest wrote it,
 * and what was flushed stays.
 *
 * @module
 */
import { DocumentError, HostError } from "../../../ffi/errors.ts";
import { readAll, writeAll } from "../../../ffi/disk_file.ts";
import { addr64, bytes, struct, u32, u64 } from "../../../ffi/struct.ts";

/** Bytes of a cluster. */
export const CLUSTER = 65536;
/** Where the bitmap lies. */
export const BITMAP_OFFSET = 4096;
const HEADER_BYTES = 4096;
const VERSION = 1;
const MAGIC = new TextEncoder().encode("HVSHOVL\0");
/** Bytes of a path in the header. */
const MOST_PATH = HEADER_BYTES - 52;

const Header = struct("hvsh_overlay", {
  magic: bytes(8),
  version: u32,
  cluster: u32,
  size: addr64,
  base_modified: u64,
  bitmap: addr64,
  data: addr64,
  path_bytes: u32,
  path: bytes(MOST_PATH),
});

/** What an overlay is made over. */
export interface OverlayBase {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** When it was last changed, in nanoseconds since 1970; 0 for block devices. */
  readonly modified: bigint;
}

/** Bytes of the bitmap of a disk, in whole pages. */
export function bitmapBytes(size: number): number {
  return Math.ceil(Math.ceil(size / CLUSTER) / 8 / 4096) * 4096;
}

/** Where the clusters of a disk's overlay start. */
export function dataOffset(size: number): number {
  return Math.ceil((BITMAP_OFFSET + bitmapBytes(size)) / CLUSTER) * CLUSTER;
}

/** Bytes of the whole file of a disk's overlay, holes and all. */
export function overlayBytes(size: number): number {
  return dataOffset(size) + size;
}

/**
 * Writes the header of a new overlay.
 *
 * @param fd Its file, empty
 * @param path Its path
 * @param base What it is made over
 * @throws {HostError} If there is no room for it
 */
export function writeOverlayHeader(fd: number, path: string, base: OverlayBase): void {
  const header = new Header(new DataView(new ArrayBuffer(HEADER_BYTES)));
  header.magic.set(MAGIC);
  header.version = VERSION;
  header.cluster = CLUSTER;
  header.size = base.size;
  header.base_modified = base.modified;
  header.bitmap = BITMAP_OFFSET;
  header.data = dataOffset(base.size);
  const name = new TextEncoder().encode(base.path).subarray(0, MOST_PATH);
  header.path_bytes = name.length;
  header.path.set(name);
  const failure = writeAll(fd, header.bytes(), HEADER_BYTES, 0);
  if (failure !== 0) throw new HostError("pwrite", failure, { path });
}

/**
 * Checks that a file is an overlay of a base.
 *
 * @param fd The file
 * @param path Its path
 * @param base The base as it is now
 * @throws {DocumentError} If it is none, or one of another base
 * @throws {HostError} If it cannot be read
 */
export function checkOverlayHeader(fd: number, path: string, base: OverlayBase): void {
  const header = new Header(new DataView(new ArrayBuffer(HEADER_BYTES)));
  const count = readAll(fd, header.bytes() as Uint8Array<ArrayBuffer>, 0);
  if (count < 0) throw new HostError("pread", -count, { path });
  if (count < HEADER_BYTES || MAGIC.some((byte, i) => header.magic[i] !== byte)) {
    throw new DocumentError(`overlay: ${path} is no overlay of hvsh's`, {
      hint: "name a file that is not there yet, and it is made",
    });
  }
  if (
    header.version !== VERSION || header.cluster !== CLUSTER || header.bitmap !== BITMAP_OFFSET ||
    header.path_bytes > MOST_PATH
  ) {
    throw new DocumentError(
      `overlay: ${path} is of version ${header.version}, which this hvsh does not know`,
    );
  }
  const of = new TextDecoder().decode(header.path.slice(0, header.path_bytes));
  if (header.size !== base.size || header.data !== dataOffset(base.size)) {
    throw new DocumentError(
      `overlay: ${path} was made over ${of} of ${header.size} bytes, but ${base.path} has ${base.size}`,
      { hint: "each overlay belongs to one base" },
    );
  }
  if (header.base_modified !== base.modified) {
    throw new DocumentError(
      `overlay: ${path} was made over ${of}, and ${base.path} is another one, or was changed since`,
      { hint: "a base that was changed no longer fits its overlays; write to the overlay only" },
    );
  }
}
