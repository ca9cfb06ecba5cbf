/**
 * Files that have no name before they are whole: until then nothing is left of one, whatever ends its
 * process. A file system that knows only files with names (NFS, say) has it at its path from the start.
 *
 * @module
 */
import { dirname } from "node:path";
import { Errno } from "./errno.ts";
import { DiskOpenFlag } from "./disk_file.ts";
import { HostError } from "./errors.ts";
import { AT, RENAME } from "./file_structs.ts";
import { closeFile, openFile, OpenFlag } from "./files.ts";
import { check, cString, errno, libc } from "./libc.ts";

/** Paths start from the process's own folder. */
const AT_FDCWD = -100;
/** What open(2) says where there are no files without a name. */
const UNKNOWN: ReadonlySet<number> = new Set([Errno.ENOTSUP, Errno.EISDIR, Errno.EINVAL]);
/** And what renameat2(2) says where two files can't change places. */
const NO_EXCHANGE: ReadonlySet<number> = new Set([Errno.EINVAL, Errno.ENOSYS]);
const FOLDER_MODE = 0o700;

/**
 * Makes a file without a name, which is gone with its descriptor.
 *
 * @param folder A folder of the file system that it is to be on
 * @param about What an error says: the path if it is another, and what to try
 * @returns Its descriptor, to read and write it; undefined if that file system knows none
 * @throws {HostError} If it can't be made
 */
export function openNameless(
  folder: string,
  about: { readonly path?: string; readonly hint?: string },
): number | undefined {
  try {
    return openFile(folder, OpenFlag.RDWR | DiskOpenFlag.TMPFILE);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    if (UNKNOWN.has(error.errno)) return undefined;
    throw new HostError("open", error.errno, { path: folder, ...about, cause: error });
  }
}

/** A new file, open for reading and writing; only its owner may. */
export class NamelessFile implements Disposable {
  readonly fd: number;
  /** Where it is to be. */
  readonly path: string;
  #named = false;
  #kept = false;

  /**
   * @param path Where it is to be, with nothing there yet
   * @param near A folder of the same file system that is there already
   * @throws {HostError} If it can't be made
   */
  constructor(path: string, near: string = dirname(path)) {
    this.path = path;
    const fd = openNameless(near, { path });
    if (fd === undefined) {
      Deno.mkdirSync(dirname(path), { recursive: true, mode: FOLDER_MODE });
      this.fd = openFile(path, OpenFlag.RDWR | OpenFlag.CREAT | OpenFlag.EXCL);
      this.#named = true;
    } else this.fd = fd;
  }

  /**
   * Has it be at its path, in a folder that is there; from then on it stays when it is disposed.
   *
   * @throws {HostError} If something is there
   */
  name(): void {
    if (!this.#named) {
      const from = cString(`/proc/self/fd/${this.fd}`);
      const to = cString(this.path);
      const linked = libc.linkat(AT_FDCWD, from, AT_FDCWD, to, AT.AT_SYMLINK_FOLLOW);
      check(linked, "linkat", { path: this.path });
    }
    this.#named = this.#kept = true;
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    closeFile(this.fd);
    if (this.#named && !this.#kept) Deno.removeSync(this.path);
  }
}

/**
 * Renames a file; what has the new name already is no more.
 *
 * @param from Its path
 * @param to Its new one
 * @throws {HostError} With the new path
 */
export function renameFile(from: string, to: string): void {
  check(rename(from, to, 0), "rename", { path: to });
}

/**
 * Has two files take each other's place.
 *
 * @param one A path
 * @param other Another
 * @returns False where the file system can't do that
 * @throws {HostError} If one is not there
 */
export function exchangeFiles(one: string, other: string): boolean {
  const done = rename(one, other, RENAME.RENAME_EXCHANGE);
  if (done < 0 && NO_EXCHANGE.has(errno())) return false;
  check(done, "rename", { path: other });
  return true;
}

function rename(from: string, to: string, flags: number): number {
  return libc.renameat2(AT_FDCWD, cString(from), AT_FDCWD, cString(to), flags);
}
