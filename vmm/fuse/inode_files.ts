/**
 * Descriptors of nodes: opened when they are needed, from the folder above, and closed again when
 * there are too many, those first that were used longest ago. A client may know a million files;
 * a process may have 1024 descriptors open.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { type DescriptorLinks, openBeneath, statDescriptor, statName } from "../../ffi/file_at.ts";
import { O, statx } from "../../ffi/file_structs.ts";
import { libc } from "../../ffi/libc.ts";
import type { Inode } from "./inode_table.ts";

/** Folders below one another that are opened for one node; with more the tree has a loop. */
const MOST_DEPTH = 4096;
/** What is kept in any case: operations work on two nodes at once. */
const LEAST_OPEN = 16;
const NAME_BYTES = 257;

/** The descriptors of a folder's nodes. */
export class InodeFiles {
  readonly #links: DescriptorLinks;
  readonly #most: number;
  readonly #name = new Uint8Array(NAME_BYTES);
  readonly #stat = new DataView(new ArrayBuffer(statx.size));
  readonly #path: Inode[] = [];
  #oldest: Inode | undefined;
  #newest: Inode | undefined;
  #open = 0;

  /**
   * @param links `/proc/self/fd`
   * @param most How many descriptors it may have open; at least 16
   */
  constructor(links: DescriptorLinks, most: number) {
    this.#links = links;
    this.#most = Math.max(most, LEAST_OPEN);
  }

  /** How many descriptors it has open. */
  get open(): number {
    return this.#open;
  }

  /**
   * A node's O_PATH descriptor, which stays the table's own and may be gone after the next call.
   *
   * @param inode The node
   * @returns The descriptor, or a negated errno: ESTALE if the file is no longer where it was seen
   */
  descriptor(inode: Inode): number {
    if (inode.fd >= 0) {
      if (inode.parent !== undefined) this.#touch(inode);
      return inode.fd;
    }
    const path = this.#path;
    path.length = 0;
    let above: Inode | undefined = inode;
    while (above !== undefined && above.fd < 0) {
      if (path.push(above) > MOST_DEPTH) return -Errno.ESTALE;
      above = above.handle === undefined ? above.parent : undefined;
    }
    for (let i = path.length - 1; i >= 0; i--) {
      const fd = this.#openOne(path[i]!);
      if (fd < 0) return fd;
    }
    return inode.fd;
  }

  /**
   * Looks at a node's file.
   *
   * @param inode The node
   * @param target A `struct statx`
   * @returns 0, or a negated errno
   */
  stat(inode: Inode, target: DataView<ArrayBuffer>): number {
    if (inode.fd >= 0) return statDescriptor(inode.fd, target);
    if (inode.handle !== undefined && inode.handle.fd >= 0) {
      return statDescriptor(inode.handle.fd, target);
    }
    if (inode.parent === undefined) return -Errno.ESTALE;
    const folder = this.descriptor(inode.parent);
    if (folder < 0) return folder;
    const failed = statName(folder, this.nameOf(inode), target);
    if (failed < 0) return gone(failed);
    return inode.is(target) ? 0 : -Errno.ESTALE;
  }

  /**
   * Opens a node's file to be read or written.
   *
   * @param inode The node; a plain file or a folder
   * @param flags {@linkcode O}
   * @returns A descriptor of the caller's, or a negated errno
   */
  reopen(inode: Inode, flags: number): number {
    const fd = this.descriptor(inode);
    if (fd < 0) return fd;
    return this.#retry(() => this.#links.open(fd, flags), inode);
  }

  /**
   * A node's name as the kernel takes it; valid until the next call.
   *
   * @param inode The node
   */
  nameOf(inode: Inode): Uint8Array<ArrayBuffer> {
    const { name } = inode;
    for (let i = 0; i < name.length; i++) this.#name[i] = name.charCodeAt(i);
    this.#name[name.length] = 0;
    return this.#name;
  }

  /**
   * Closes a node's descriptor, if it has one.
   *
   * @param inode The node; not the root, whose descriptor belongs to whoever shares it
   */
  close(inode: Inode): void {
    if (inode.fd < 0) return;
    this.#unlink(inode);
    libc.close(inode.fd);
    inode.fd = -1;
    this.#open--;
  }

  /** Closes half of the descriptors, those that were used longest ago. */
  closeHalf(): void {
    for (let left = Math.ceil(this.#open / 2); left > 0; left--) this.close(this.#oldest!);
  }

  #openOne(inode: Inode): number {
    const { handle } = inode;
    const fd = handle !== undefined && handle.fd >= 0
      ? this.#retry(() => this.#links.open(handle.fd, O.O_PATH), undefined)
      : this.#openNamed(inode);
    if (fd < 0) return fd;
    inode.fd = fd;
    this.#open++;
    this.#append(inode);
    while (this.#open > this.#most) this.close(this.#oldest!);
    return fd;
  }

  #openNamed(inode: Inode): number {
    const { parent } = inode;
    if (parent === undefined || parent.fd < 0) return -Errno.ESTALE;
    const name = this.nameOf(inode);
    const fd = this.#retry(() => openBeneath(parent.fd, name, O.O_PATH), parent);
    if (fd < 0) return gone(fd);
    const failed = statDescriptor(fd, this.#stat);
    if (failed === 0 && inode.is(this.#stat)) return fd;
    libc.close(fd);
    return failed < 0 ? failed : -Errno.ESTALE;
  }

  /** Where descriptors have run out, some of ours are closed, but not that of `needed`. */
  #retry(open: () => number, needed: Inode | undefined): number {
    const fd = open();
    if ((fd !== -Errno.EMFILE && fd !== -Errno.ENFILE) || this.#open < 2) return fd;
    if (needed !== undefined && needed.parent !== undefined && needed.fd >= 0) this.#touch(needed);
    this.closeHalf();
    return open();
  }

  #touch(inode: Inode): void {
    if (this.#newest === inode) return;
    this.#unlink(inode);
    this.#append(inode);
  }

  #append(inode: Inode): void {
    inode.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = inode;
    else this.#newest.newer = inode;
    this.#newest = inode;
  }

  #unlink(inode: Inode): void {
    if (inode.older === undefined) this.#oldest = inode.newer;
    else inode.older.newer = inode.newer;
    if (inode.newer === undefined) this.#newest = inode.older;
    else inode.newer.older = inode.older;
    inode.older = undefined;
    inode.newer = undefined;
  }
}

/** The name is there no more, or another kind of file has it: the client should look again. */
function gone(error: number): number {
  switch (error) {
    case -Errno.ENOENT:
    case -Errno.ENOTDIR:
    case -Errno.ELOOP:
      return -Errno.ESTALE;
    default:
      return error;
  }
}
