/**
 * Files reached from a folder's descriptor, one path component at a time, for a server that hands a
 * failure on: results are 0 or more, or a negated error number, as the kernel itself gives them.
 * Names are C strings.
 *
 * @module
 */
import { AT, O, open_how, RESOLVE, S, STATX_ALL } from "./file_structs.ts";
import { errno, libc } from "./libc.ts";

const SYS_mknodat = 259n;
const SYS_openat2 = 437n;
const OPEN_HOW_SIZE = BigInt(open_how.size);
const EMPTY = new Uint8Array(1);
const SYMLINK_MOST = 4096;
const F_SETFL = 4;

const how = new open_how();
const howView = how.view;
const { flags: FLAGS, mode: MODE } = open_how.offsets;
// A symbolic link at the end is opened itself, with O_PATH | O_NOFOLLOW, in spite of NO_SYMLINKS.
how.resolve = BigInt(
  RESOLVE.RESOLVE_BENEATH | RESOLVE.RESOLVE_NO_MAGICLINKS | RESOLVE.RESOLVE_NO_SYMLINKS,
);

/** A call's result, or its negated errno. */
function result(value: number): number {
  return value < 0 ? -errno() : value;
}

/**
 * openat2(2) that never leaves the folder: no `..`, no absolute path, no symbolic link followed.
 *
 * @param folder The folder's descriptor
 * @param name A C string
 * @param flags {@linkcode O}, to which O_CLOEXEC, O_NOFOLLOW and O_NOCTTY are added
 * @param mode Permissions of a file that O_CREAT makes
 * @returns A descriptor, or a negated errno
 */
export function openBeneath(folder: number, name: Uint8Array, flags: number, mode = 0): number {
  const all = flags | O.O_CLOEXEC | O.O_NOFOLLOW | ((flags & O.O_PATH) !== 0 ? 0 : O.O_NOCTTY);
  howView.setUint32(FLAGS, all >>> 0, true);
  howView.setUint32(MODE, mode, true);
  return result(libc.openat2(SYS_openat2, folder, name, how.view, OPEN_HOW_SIZE));
}

/**
 * The door from a descriptor to another of the same file: its magic link below `/proc/self/fd`. An
 * O_PATH descriptor cannot be read, but says for certain which file it is.
 */
export class DescriptorLinks {
  readonly #folder: number;
  readonly #digits = new Uint8Array(12);

  /**
   * @param folder A descriptor of `/proc/self/fd`; stays the caller's
   */
  constructor(folder: number) {
    this.#folder = folder;
  }

  /**
   * Opens a descriptor's file anew.
   *
   * @param fd The descriptor; not of a symbolic link
   * @param flags {@linkcode O}, to which O_CLOEXEC and O_NOCTTY are added
   * @returns A descriptor, or a negated errno
   */
  open(fd: number, flags: number): number {
    const all = flags | O.O_CLOEXEC | O.O_NOCTTY;
    return result(libc.openat(this.#folder, this.#name(fd), all, 0));
  }

  /** chmod(2) of a descriptor's file. */
  chmod(fd: number, mode: number): number {
    return result(libc.fchmodat(this.#folder, this.#name(fd), mode, 0));
  }

  /** access(2) of a descriptor's file. */
  access(fd: number, mask: number): number {
    return result(libc.faccessat(this.#folder, this.#name(fd), mask, 0));
  }

  /** Makes a hard link to a descriptor's file. */
  link(fd: number, folder: number, name: Uint8Array): number {
    const from = this.#name(fd);
    return result(libc.linkat(this.#folder, from, folder, name, AT.AT_SYMLINK_FOLLOW));
  }

  #name(fd: number): Uint8Array<ArrayBuffer> {
    const digits = this.#digits;
    let length = 1;
    for (let rest = fd; rest >= 10; rest = Math.floor(rest / 10)) length++;
    digits[length] = 0;
    for (let rest = fd; length > 0; rest = Math.floor(rest / 10)) digits[--length] = 48 + rest % 10;
    return digits;
  }
}

/**
 * statx(2) of a name in a folder; a symbolic link is looked at itself.
 *
 * @param folder The folder's descriptor
 * @param name A C string without a slash
 * @param target A `struct statx`
 * @returns 0, or a negated errno
 */
export function statName(folder: number, name: Uint8Array, target: DataView<ArrayBuffer>): number {
  const flags = AT.AT_SYMLINK_NOFOLLOW | AT.AT_NO_AUTOMOUNT;
  return result(libc.statx(folder, name, flags, STATX_ALL, target));
}

/** statx(2) of a descriptor, O_PATH or not. */
export function statDescriptor(fd: number, target: DataView<ArrayBuffer>): number {
  return result(libc.statx(fd, EMPTY, AT.AT_EMPTY_PATH, STATX_ALL, target));
}

/** The text of an O_PATH descriptor's symbolic link, without a NUL; at most 4096 bytes. */
export function readLink(fd: number, target: Uint8Array<ArrayBuffer>): number {
  const length = BigInt(Math.min(target.length, SYMLINK_MOST));
  return result(libc.readlinkat(fd, EMPTY, target, length));
}

/** mkdirat(2) */
export function makeFolder(folder: number, name: Uint8Array, mode: number): number {
  return result(libc.mkdirat(folder, name, mode));
}

/** mkfifoat(3) */
export function makeFifo(folder: number, name: Uint8Array, mode: number): number {
  return result(libc.mkfifoat(folder, name, mode));
}

/** mknodat(2) of a unix socket, at which nobody listens. */
export function makeSocket(folder: number, name: Uint8Array, mode: number): number {
  return result(libc.mknodat(SYS_mknodat, folder, name, S.S_IFSOCK | mode, 0n));
}

/** symlinkat(2): makes `name`, a link to the text `target`. */
export function makeSymlink(target: Uint8Array, folder: number, name: Uint8Array): number {
  return result(libc.symlinkat(target, folder, name));
}

/** unlinkat(2) of what is no folder. */
export function unlinkFile(folder: number, name: Uint8Array): number {
  return result(libc.unlinkat(folder, name, 0));
}

/** unlinkat(2) of an empty folder. */
export function unlinkFolder(folder: number, name: Uint8Array): number {
  return result(libc.unlinkat(folder, name, AT.AT_REMOVEDIR));
}

/** renameat2(2) */
export function renameName(
  from: number,
  name: Uint8Array,
  to: number,
  newName: Uint8Array,
  flags: number,
): number {
  return result(libc.renameat2(from, name, to, newName, flags));
}

/**
 * utimensat(2) of a descriptor, also of a symbolic link's.
 *
 * @param times Two `struct timespec`: access, modification
 */
export function setTimes(fd: number, times: DataView<ArrayBuffer>): number {
  return result(libc.utimensat(fd, EMPTY, times, AT.AT_EMPTY_PATH));
}

/** getdents64(2): `dirent64` entries; 0 at the folder's end. */
export function readEntries(fd: number, target: Uint8Array<ArrayBuffer>): number {
  return result(libc.getdents64(fd, target, BigInt(target.length)));
}

/** fstatfs(2) of a descriptor, O_PATH or not. */
export function statFilesystem(fd: number, target: DataView<ArrayBuffer>): number {
  return result(libc.fstatfs(fd, target));
}

/** fchmod(2) */
export function changeMode(fd: number, mode: number): number {
  return result(libc.fchmod(fd, mode));
}

/** fcntl(2)'s F_SETFL: of a plain file's {@linkcode O} those that can change, all at once. */
export function setStatusFlags(fd: number, flags: number): number {
  return result(libc.fcntl(fd, F_SETFL, flags));
}

/** ftruncate(2) */
export function truncateFile(fd: number, size: number): number {
  return result(libc.ftruncate(fd, BigInt(size)));
}

/** fallocate(2) */
export function allocateFile(fd: number, mode: number, offset: number, length: number): number {
  return result(libc.fallocate(fd, mode, BigInt(offset), BigInt(length)));
}

/** fsync(2), or fdatasync(2) */
export function syncFile(fd: number, dataOnly: boolean): number {
  return result(dataOnly ? libc.fdatasync(fd) : libc.fsync(fd));
}

/** syncfs(2); not of an O_PATH descriptor. */
export function syncFilesystem(fd: number): number {
  return result(libc.syncfs(fd));
}

/** lseek(2); a position is 64 bits of data where a folder's is meant. */
export function seekFile(fd: number, offset: bigint, whence: number): bigint {
  const position = libc.lseek(fd, offset, whence);
  return position < 0n ? BigInt(-errno()) : position;
}
