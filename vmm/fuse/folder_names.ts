/**
 * Names in a shared folder: LOOKUP, READLINK, and those operations that make, move and remove.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import {
  makeFifo,
  makeFolder,
  makeSocket,
  makeSymlink,
  openBeneath,
  readLink,
  renameName,
  statDescriptor,
  statName,
  unlinkFile,
  unlinkFolder,
} from "../../ffi/file_at.ts";
import { O, RENAME, S, statx } from "../../ffi/file_structs.ts";
import { libc } from "../../ffi/libc.ts";
import type { Folder } from "./folder.ts";
import { PERMISSIONS, writeEntry } from "./folder_attributes.ts";
import type { Inode } from "./inode_table.ts";
import {
  fuse_entry_out,
  fuse_link_in,
  fuse_mkdir_in,
  fuse_mknod_in,
  fuse_rename2_in,
  fuse_rename_in,
} from "./messages.ts";
import { Opcode } from "./protocol.ts";
import { ANSWER, ARGUMENTS, type FuseRequest } from "./request.ts";
import type { Operations } from "./server.ts";

const { stx_mode } = statx.offsets;
const PATH_MAX = 4096;
/** Permissions that the server's umask may have taken away. */
const RWX = 0o777;
const RENAME_FLAGS = RENAME.RENAME_NOREPLACE | RENAME.RENAME_EXCHANGE;

/**
 * A folder's descriptor, for what is to be found or done in it.
 *
 * @param folder The shared folder
 * @param inode The node of the folder
 * @returns The descriptor, or a negated errno
 */
export function folderDescriptor(folder: Folder, inode: Inode | undefined): number {
  if (inode === undefined) return -Errno.ESTALE;
  if (inode.type !== S.S_IFDIR) return -Errno.ENOTDIR;
  if (inode.hollow) return -Errno.EACCES;
  return folder.files.descriptor(inode);
}

/**
 * Looks a name up.
 *
 * @param folder The shared folder, whose `stat` is then that of what was found
 * @param parent The folder that it is in
 * @param name A C string
 * @returns The node, known once more; or a negated errno
 */
export function lookUp(folder: Folder, parent: Inode, name: Uint8Array): Inode | number {
  const fd = folderDescriptor(folder, parent);
  if (fd < 0) return parent.hollow ? -Errno.ENOENT : fd;
  const failed = statName(fd, name, folder.stat);
  if (failed < 0) return failed;
  return folder.know(parent, name) ?? -Errno.ENFILE;
}

/**
 * Answers with what a name is.
 *
 * @param folder The shared folder
 * @param request The request
 * @param parent The folder that it is in
 * @param name A C string
 * @returns Bytes of the answer, or a negated errno
 */
function answerEntry(
  folder: Folder,
  request: FuseRequest,
  parent: Inode,
  name: Uint8Array,
): number {
  const found = lookUp(folder, parent, name);
  if (typeof found === "number") return found;
  writeEntry(request.reply, ANSWER, found, folder.stat, folder);
  return fuse_entry_out.size;
}

/**
 * Gives a new file the permissions that the client asked for: the server's umask is not the client's,
 * who has applied its own.
 *
 * @param folder The shared folder
 * @param inode The node of the new file, just looked up
 * @param mode What was asked for
 */
export function settleMode(folder: Folder, inode: Inode, mode: number): void {
  const has = folder.stat.getUint16(stx_mode, true);
  if (((has ^ mode) & RWX) === 0) return;
  const fd = folder.files.descriptor(inode);
  if (fd < 0) return;
  folder.links.chmod(fd, (has & ~RWX) | (mode & RWX));
  statDescriptor(fd, folder.stat);
}

/**
 * The operations on names.
 *
 * @param folder The folder
 * @param request The server's request
 */
export function nameOperations(folder: Folder, request: FuseRequest): Operations {
  return {
    [Opcode.LOOKUP]: {
      args: 0,
      names: 1,
      answer: fuse_entry_out.size,
      run() {
        const parent = folder.inodes.get(request.nodeid);
        if (parent === undefined) return -Errno.ESTALE;
        return answerEntry(folder, request, parent, request.name);
      },
    },
    [Opcode.READLINK]: {
      args: 0,
      run() {
        const inode = folder.inodes.get(request.nodeid);
        if (inode === undefined) return -Errno.ESTALE;
        if (inode.type !== S.S_IFLNK) return -Errno.EINVAL;
        const fd = folder.files.descriptor(inode);
        if (fd < 0) return fd;
        const room = Math.min(request.room, PATH_MAX);
        return readLink(fd, new Uint8Array(request.reply.buffer, ANSWER, room));
      },
    },
    ...makingOperations(folder, request),
    ...removingOperations(folder, request),
    ...movingOperations(folder, request),
  };
}

function makingOperations(folder: Folder, request: FuseRequest): Operations {
  const mknod = new fuse_mknod_in(request.view, ARGUMENTS);
  const mkdir = new fuse_mkdir_in(request.view, ARGUMENTS);
  /** Makes something in the request's folder, and answers with what it is. */
  const make = (mode: number, done: (fd: number) => number): number => {
    const parent = folder.inodes.get(request.nodeid);
    const fd = folderDescriptor(folder, parent);
    if (fd < 0) return fd;
    const failed = done(fd);
    if (failed < 0) return failed;
    const inode = lookUp(folder, parent!, request.name);
    if (typeof inode === "number") return inode;
    if (inode.type !== S.S_IFLNK) settleMode(folder, inode, mode);
    writeEntry(request.reply, ANSWER, inode, folder.stat, folder);
    return fuse_entry_out.size;
  };
  return {
    [Opcode.MKDIR]: folder.writing({
      args: fuse_mkdir_in.size,
      names: 1,
      answer: fuse_entry_out.size,
      run: () => make(mkdir.mode, (fd) => makeFolder(fd, request.name, mkdir.mode & PERMISSIONS)),
    }),
    [Opcode.MKNOD]: folder.writing({
      args: fuse_mknod_in.size,
      names: 1,
      answer: fuse_entry_out.size,
      run: () => make(mknod.mode, (fd) => makeNode(fd, request.name, mknod.mode)),
    }),
    [Opcode.SYMLINK]: folder.writing({
      args: 0,
      names: 2,
      text: true,
      answer: fuse_entry_out.size,
      run: () => make(0, (fd) => makeSymlink(request.name2, fd, request.name)),
    }),
  };
}

/** Plain files, FIFOs, sockets; a device would be the host's, should a process there open it. */
function makeNode(fd: number, name: Uint8Array, mode: number): number {
  const permissions = mode & PERMISSIONS;
  switch (mode & S.S_IFMT) {
    case 0:
    case S.S_IFREG: {
      const made = openBeneath(fd, name, O.O_CREAT | O.O_EXCL | O.O_WRONLY, permissions);
      if (made >= 0) libc.close(made);
      return made;
    }
    case S.S_IFIFO:
      return makeFifo(fd, name, permissions);
    case S.S_IFSOCK: // what bind(2) makes: who connects to it on the other side finds nobody
      return makeSocket(fd, name, permissions);
    default:
      return -Errno.EPERM;
  }
}

function removingOperations(folder: Folder, request: FuseRequest): Operations {
  const remove = (how: (fd: number, name: Uint8Array) => number): number => {
    const fd = folderDescriptor(folder, folder.inodes.get(request.nodeid));
    return fd < 0 ? fd : how(fd, request.name);
  };
  return {
    [Opcode.UNLINK]: folder.writing({ args: 0, names: 1, run: () => remove(unlinkFile) }),
    [Opcode.RMDIR]: folder.writing({ args: 0, names: 1, run: () => remove(unlinkFolder) }),
  };
}

function movingOperations(folder: Folder, request: FuseRequest): Operations {
  const rename = new fuse_rename_in(request.view, ARGUMENTS);
  const rename2 = new fuse_rename2_in(request.view, ARGUMENTS);
  const link = new fuse_link_in(request.view, ARGUMENTS);
  return {
    [Opcode.RENAME]: folder.writing({
      args: fuse_rename_in.size,
      names: 2,
      run: () => move(folder, request, rename.newdir, 0),
    }),
    [Opcode.RENAME2]: folder.writing({
      args: fuse_rename2_in.size,
      names: 2,
      run: () => move(folder, request, rename2.newdir, rename2.flags),
    }),
    [Opcode.LINK]: folder.writing({
      args: fuse_link_in.size,
      names: 1,
      answer: fuse_entry_out.size,
      run() {
        const inode = folder.inodes.get(link.oldnodeid);
        const parent = folder.inodes.get(request.nodeid);
        if (inode === undefined) return -Errno.ESTALE;
        const to = folderDescriptor(folder, parent);
        if (to < 0) return to;
        if (inode.hollow) return -Errno.EACCES;
        const from = folder.files.descriptor(inode);
        if (from < 0) return from;
        if (parent!.fd < 0) return -Errno.EMFILE;
        const failed = folder.links.link(from, parent!.fd, request.name);
        return failed < 0 ? failed : answerEntry(folder, request, parent!, request.name);
      },
    }),
  };
}

function move(folder: Folder, request: FuseRequest, newdir: number, flags: number): number {
  if ((flags & ~RENAME_FLAGS) !== 0) return -Errno.EINVAL;
  const { name, name2 } = request;
  const from = folder.inodes.get(request.nodeid);
  const to = folder.inodes.get(newdir);
  const failed = Math.min(0, folderDescriptor(folder, from), folderDescriptor(folder, to));
  if (failed < 0) return failed;
  // Opening the second may have closed the first, where there are few descriptors.
  if (from!.fd < 0) return -Errno.EMFILE;
  const moved = statName(from!.fd, name, folder.stat) === 0
    ? folder.inodes.find(folder.stat)
    : undefined;
  const exchanged = (flags & RENAME.RENAME_EXCHANGE) !== 0 &&
      statName(to!.fd, name2, folder.stat) === 0
    ? folder.inodes.find(folder.stat)
    : undefined;
  const result = renameName(from!.fd, name, to!.fd, name2, flags);
  if (result < 0) return result;
  if (moved !== undefined) folder.inodes.place(moved, to!, name2);
  if (exchanged !== undefined) folder.inodes.place(exchanged, from!, name);
  return 0;
}
