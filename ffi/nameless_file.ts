/**
 * Files that have no name before they are whole: until then nothing is left of one, whatever ends its
 * process. A file system that knows only files with names (NFS, say) has it at its path from the start.
 *
 * @module
 */
import { dirname } from "node:path";
import { Errno } from "./errno.ts";
import { AT, O, RENAME } from "./file_structs.ts";
import { closeFile, openFile, OpenFlag } from "./files.ts";
import { check, cString, errno, libc } from "./libc.ts";

/** Paths start from the process's own folder. */
const AT_FDCWD = -100;
/** What openat(2) says where there are no files without a name. */
const UNKNOWN: ReadonlySet<number> = new Set([Errno.ENOTSUP, Errno.EISDIR, Errno.EINVAL]);
/** And what renameat2(2) says where two files can't change places. */
const NO_EXCHANGE: ReadonlySet<number> = new Set([Errno.EINVAL, Errno.ENOSYS]);
const FOLDER_MODE = 0o700;

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
    const flags = O.O_TMPFILE | O.O_RDWR | O.O_CLOEXEC;
    const fd = libc.openat(AT_FDCWD, cString(near), flags, 0o600);
    if (fd < 0 && UNKNOWN.has(errno())) {
      Deno.mkdirSync(dirname(path), { recursive: true, mode: FOLDER_MODE });
      this.fd = openFile(path, OpenFlag.RDWR | OpenFlag.CREAT | OpenFlag.EXCL);
      this.#named = true;
    } else this.fd = check(fd, "open", { path });
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
