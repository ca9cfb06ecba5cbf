/**
 * What of the host stands behind a device, by which a saved state knows it again. A file is the one that
 * it was if its number, its length and the time of its last change are the same to the nanosecond: a
 * guest that goes on over another content would ruin it, and who made a stream elsewhere can't know them.
 *
 * @module
 */
import { diskFileStatus } from "../ffi/disk_file.ts";
import { HostError } from "../ffi/errors.ts";
import { statDescriptor } from "../ffi/file_at.ts";
import { statx } from "../ffi/file_structs.ts";
import type { Json } from "../ffi/struct.ts";

/** One file, as a record of a stream has it. */
export type Backing = { readonly [key: string]: Json } & {
  /** What names it; for people. */
  readonly path: string;
};

/**
 * An image of a disk, or another file whose content matters.
 *
 * @param fd The open file
 * @param path What names it
 * @throws {HostError} With the path
 */
export function fileBacking(fd: number, path: string): Backing {
  const { kind, size, modified } = diskFileStatus(fd, path);
  const { inode } = identity(fd, path);
  // A block device's times are those of its name.
  return { path, inode, size, ...(kind === "file" ? { modified: hex(modified) } : {}) };
}

/**
 * A folder, or a file that others write too: which one it is, whatever is in it.
 *
 * @param fd The open folder
 * @param path What names it
 * @throws {HostError} With the path
 */
export function placeBacking(fd: number, path: string): Backing {
  const { inode, born } = identity(fd, path);
  return { path, inode, born };
}

/**
 * What is not as it was.
 *
 * @param was What a stream says
 * @param is What there is
 * @returns The path and why; undefined if all is as it was
 */
export function changedBacking(
  was: Json | undefined,
  is: readonly Backing[],
): { readonly path: string; readonly why: string } | undefined {
  const all: readonly Json[] = Array.isArray(was) ? was : [];
  for (const [i, now] of is.entries()) {
    const then = all[i];
    const { path } = now;
    if (typeof then !== "object" || then === null || Array.isArray(then)) {
      return { path, why: "the stream does not say what it was" };
    }
    const before = then as { [key: string]: Json };
    for (const [key, value] of Object.entries(now)) {
      if (key === "path" || (Object.hasOwn(before, key) && before[key] === value)) continue;
      return { path, why: WHY[key] ?? "it is another one" };
    }
  }
  const gone = all[is.length];
  if (gone === undefined) return undefined;
  const { path } = Object(gone) as { path?: Json };
  return { path: typeof path === "string" ? path : "a file", why: "it is not here" };
}

const WHY: Readonly<Record<string, string>> = {
  size: "its size is another",
  modified: "it has been written since",
};

function identity(fd: number, path: string): { inode: string; born: string } {
  const status = new statx();
  const result = statDescriptor(fd, status.view as DataView<ArrayBuffer>);
  if (result < 0) throw new HostError("statx", -result, { path });
  const { tv_sec, tv_nsec } = status.stx_btime;
  const born = BigInt.asUintN(64, tv_sec * 1_000_000_000n + BigInt(tv_nsec));
  return { inode: hex(status.stx_ino), born: hex(born) };
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
