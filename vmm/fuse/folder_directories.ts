/**
 * Folders below a shared folder: OPENDIR, READDIR and READDIRPLUS, RELEASEDIR, FSYNCDIR.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { openBeneath, readEntries, seekFile, statName, syncFile } from "../../ffi/file_at.ts";
import { dirent64, O, S, SEEK } from "../../ffi/file_structs.ts";
import { DOT, type Folder } from "./folder.ts";
import { writeEntry } from "./folder_attributes.ts";
import { close, readHandle } from "./folder_files.ts";
import { folderDescriptor } from "./folder_names.ts";
import type { FileHandle } from "./handle_table.ts";
import {
  fuse_attr,
  fuse_dirent,
  fuse_direntplus,
  fuse_entry_out,
  fuse_fsync_in,
  fuse_open_in,
  fuse_open_out,
  fuse_read_in,
  fuse_release_in,
} from "./messages.ts";
import { FSYNC_FDATASYNC, Opcode } from "./protocol.ts";
import { ANSWER, ARGUMENTS, type FuseRequest, MOST_ANSWER } from "./request.ts";
import type { Operations } from "./server.ts";

const { d_ino, d_off, d_reclen, d_type } = dirent64.offsets;
const NAME = dirent64.size;
const { ino, off, namelen, type } = fuse_dirent.offsets;
/** In a `struct fuse_direntplus`: a file's number twice. */
const DIRENT_INO = fuse_direntplus.offsets.dirent + ino;
const ATTR_INO = fuse_entry_out.offsets.attr + fuse_attr.offsets.ino;
const READ_POSITION = ARGUMENTS + fuse_read_in.offsets.position;
/** Bytes of the kernel's entries that are read at once. */
const MOST_READ = 32768;
/** What holds one entry, however long its name. */
const ONE_ENTRY = 512;
/** How much of the reply's room to read, so that what is read fits: 24 bytes become 32 at worst. */
const PLAIN_SHARE = 3 / 4;
/** The same for entries that are looked up, of which 32 bytes become 168; longer names fare better. */
const PLUS_SHARE = 1 / 5;
const ALIGN = 8;

/**
 * The operations on folders.
 *
 * @param folder The shared folder
 * @param request The server's request
 */
export function directoryOperations(folder: Folder, request: FuseRequest): Operations {
  const out = new fuse_open_out(request.reply, ANSWER);
  const fsync = new fuse_fsync_in(request.view, ARGUMENTS);
  const listing = new Listing(folder, request);
  const opened = (): FileHandle | undefined => {
    const handle = folder.handles.get(readHandle(request));
    return handle?.inode.type === S.S_IFDIR ? handle : undefined;
  };
  const list = (plus: boolean): number => {
    const handle = opened();
    return handle === undefined ? -Errno.EBADF : listing.read(handle, plus);
  };
  return {
    [Opcode.OPENDIR]: {
      args: fuse_open_in.size,
      answer: fuse_open_out.size,
      run() {
        const inode = folder.inodes.get(request.nodeid);
        if (inode === undefined) return -Errno.ESTALE;
        if (inode.type !== S.S_IFDIR) return -Errno.ENOTDIR;
        if (folder.handles.full) return -Errno.ENFILE;
        const fd = inode.hollow ? -1 : openFolder(folder, request.nodeid);
        if (fd < 0 && !inode.hollow) return fd;
        out.fh = folder.handles.add(fd, inode, false).fh;
        out.open_flags = folder.openFlags(true);
        return fuse_open_out.size;
      },
    },
    [Opcode.READDIR]: { args: fuse_read_in.size, run: () => list(false) },
    [Opcode.READDIRPLUS]: { args: fuse_read_in.size, run: () => list(true) },
    [Opcode.RELEASEDIR]: {
      args: fuse_release_in.size,
      run() {
        const handle = opened();
        return handle === undefined ? -Errno.EBADF : close(folder, handle);
      },
    },
    [Opcode.FSYNCDIR]: {
      args: fuse_fsync_in.size,
      run() {
        const handle = opened();
        if (handle === undefined) return -Errno.EBADF;
        if (folder.readonly || handle.fd < 0) return 0;
        return syncFile(handle.fd, (fsync.fsync_flags & FSYNC_FDATASYNC) !== 0);
      },
    },
  };
}

/**
 * Opens a folder to be listed.
 *
 * @param folder What is served
 * @param nodeid The folder's node
 * @returns A descriptor of the caller's, or a negated errno
 */
export function openFolder(folder: Folder, nodeid: number): number {
  const at = folderDescriptor(folder, folder.inodes.get(nodeid));
  return at < 0 ? at : openBeneath(at, DOT, O.O_RDONLY | O.O_DIRECTORY | O.O_NONBLOCK);
}

/** READDIR and READDIRPLUS: the kernel's entries made FUSE's. */
class Listing {
  readonly #folder: Folder;
  readonly #request: FuseRequest;
  readonly #size: InstanceType<typeof fuse_read_in>;
  readonly #entries = new Uint8Array(MOST_READ);
  readonly #view = new DataView(this.#entries.buffer);
  readonly #reply: Uint8Array;

  constructor(folder: Folder, request: FuseRequest) {
    this.#folder = folder;
    this.#request = request;
    this.#size = new fuse_read_in(request.view, ARGUMENTS);
    this.#reply = new Uint8Array(request.reply.buffer);
  }

  /**
   * Lists from the request's position on as much as fits into its size.
   *
   * @param handle The open folder
   * @param plus Whether each entry is looked up too
   * @returns Bytes of the answer, 0 at the end; or a negated errno
   */
  read(handle: FileHandle, plus: boolean): number {
    if (handle.fd < 0) return 0;
    const most = Math.min(this.#size.size, this.#request.room, MOST_ANSWER);
    const position = this.#request.view.getBigInt64(READ_POSITION, true);
    if (position !== handle.position) {
      const sought = seekFile(handle.fd, position, SEEK.SEEK_SET);
      if (sought < 0n) return Number(sought);
    }
    const share = plus ? PLUS_SHARE : PLAIN_SHARE;
    const length = Math.min(MOST_READ, Math.max(Math.floor(most * share), ONE_ENTRY));
    const got = readEntries(handle.fd, this.#entries.subarray(0, length));
    handle.position = undefined; // somewhere behind what is told
    if (got < 0) return got;
    const written = this.#translate(handle, got, most, plus);
    return got > 0 && written === 0 ? -Errno.EINVAL : written;
  }

  #translate(handle: FileHandle, got: number, most: number, plus: boolean): number {
    const view = this.#view;
    let written = 0;
    let at = 0;
    for (; at < got; at += view.getUint16(at + d_reclen, true)) {
      const end = this.#entries.indexOf(0, at + NAME);
      const name = this.#entries.subarray(at + NAME, end + 1);
      const start = ANSWER + written;
      const dirent = start + (plus ? fuse_direntplus.offsets.dirent : 0);
      const length = dirent - start + fuse_dirent.size + name.length - 1;
      const padded = Math.ceil(length / ALIGN) * ALIGN;
      if (written + padded > most) return written;
      this.#reply.fill(0, start, start + padded);
      this.#writeEntry(handle, at, dirent, name);
      if (plus) this.#lookUp(handle, start, name);
      written += padded;
      if (at + view.getUint16(at + d_reclen, true) >= got) {
        handle.position = view.getBigInt64(at + d_off, true);
      }
    }
    return written;
  }

  #writeEntry({ inode }: FileHandle, at: number, dirent: number, name: Uint8Array): void {
    const from = this.#view;
    const to = this.#request.reply;
    const upper = this.#folder.devices.upper(from.getUint32(at + d_ino + 4, true), inode.device);
    to.setUint32(dirent + ino, from.getUint32(at + d_ino, true), true);
    to.setUint32(dirent + ino + 4, upper, true);
    to.setUint32(dirent + off, from.getUint32(at + d_off, true), true);
    to.setUint32(dirent + off + 4, from.getUint32(at + d_off + 4, true), true);
    to.setUint32(dirent + namelen, name.length - 1, true);
    to.setUint32(dirent + type, from.getUint8(at + d_type), true);
    this.#reply.set(name.subarray(0, -1), dirent + fuse_dirent.size);
  }

  /** What is gone already, `.` and `..` stay node 0, which the client does not look at. */
  #lookUp(handle: FileHandle, start: number, name: Uint8Array<ArrayBuffer>): void {
    if (isDots(name)) return;
    const folder = this.#folder;
    if (statName(handle.fd, name, folder.stat) < 0) return;
    const inode = folder.know(handle.inode, name);
    if (inode === undefined) return;
    const { reply } = this.#request;
    writeEntry(reply, start, inode, folder.stat, folder);
    // The kernel's entry has the number of what a mount point hides.
    for (const half of [0, 4]) {
      reply.setUint32(
        start + DIRENT_INO + half,
        reply.getUint32(start + ATTR_INO + half, true),
        true,
      );
    }
  }
}

function isDots(name: Uint8Array): boolean {
  const length = name.length - 1;
  return name[0] === 0x2e && (length === 1 || (length === 2 && name[1] === 0x2e));
}
