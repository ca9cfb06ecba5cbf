/**
 * The files and folders that a FUSE client has open.
 *
 * @module
 */
import { libc } from "../../ffi/libc.ts";
import type { Inode } from "./inode_table.ts";

/** An open file or folder. */
export class FileHandle {
  /** Its name in the protocol; never used again for another. */
  readonly fh: number;
  /** Its descriptor; -1 for a folder that is not served. */
  readonly fd: number;
  /** What is open. */
  readonly inode: Inode;
  /** Whether it was opened to be written. */
  readonly writable: boolean;
  /** The flags of open(2) that it would be opened with again. */
  flags = 0;
  /** Whether its descriptor has O_APPEND now, which puts all that is written at the file's end. */
  appending = false;
  /** The file may have set-user-ID or set-group-ID bits, which the first write takes away. */
  setid = false;
  /** Of a folder: where the next entries come from, a cookie of getdents64; undefined if unknown. */
  position: bigint | undefined = 0n;
  /** The next open file of the same node. */
  next: FileHandle | undefined;

  /**
   * @param fh Its name in the protocol
   * @param fd Its descriptor, which it then owns
   * @param inode What is open
   * @param writable Whether it can be written
   */
  constructor(fh: number, fd: number, inode: Inode, writable: boolean) {
    this.fh = fh;
    this.fd = fd;
    this.inode = inode;
    this.writable = writable;
  }
}

/** All that is open. */
export class HandleTable {
  readonly #handles = new Map<number, FileHandle>();
  readonly #most: number;
  #last = 0;

  /**
   * @param most How many at most
   */
  constructor(most: number) {
    this.#most = most;
  }

  /** How many there are. */
  get size(): number {
    return this.#handles.size;
  }

  /** Whether there are as many as there may be. */
  get full(): boolean {
    return this.#handles.size >= this.#most;
  }

  /**
   * An open file.
   *
   * @param fh Any number
   */
  get(fh: number): FileHandle | undefined {
    return this.#handles.get(fh);
  }

  /**
   * Adds an open file; look at {@linkcode full} before.
   *
   * @param fd Its descriptor, which the table then owns
   * @param inode What is open
   * @param writable Whether it can be written
   * @param fh The name that it had before, which nobody has now; left out, a new one
   */
  add(fd: number, inode: Inode, writable: boolean, fh: number = this.#last + 1): FileHandle {
    const handle = new FileHandle(fh, fd, inode, writable);
    this.#last = Math.max(this.#last, fh);
    handle.next = inode.handle;
    inode.handle = handle;
    this.#handles.set(handle.fh, handle);
    return handle;
  }

  /**
   * Closes an open file.
   *
   * @param handle One of this table's
   */
  remove(handle: FileHandle): void {
    this.#handles.delete(handle.fh);
    const { inode } = handle;
    if (inode.handle === handle) {
      inode.handle = handle.next;
    } else {
      let before = inode.handle!;
      while (before.next !== handle) before = before.next!;
      before.next = handle.next;
    }
    if (handle.fd >= 0) libc.close(handle.fd);
  }

  /** All of them. */
  all(): FileHandle[] {
    return [...this.#handles.values()];
  }

  /** Closes all. */
  clear(): void {
    for (const handle of this.#handles.values()) {
      handle.inode.handle = undefined;
      if (handle.fd >= 0) libc.close(handle.fd);
    }
    this.#handles.clear();
  }
}
