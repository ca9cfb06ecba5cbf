/**
 * Plain files of a shared folder: OPEN, CREATE, READ, WRITE and what else is done to an open file.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import {
  allocateFile,
  openBeneath,
  seekFile,
  setStatusFlags,
  statDescriptor,
  syncFile,
} from "../../ffi/file_at.ts";
import { O, S, SEEK } from "../../ffi/file_structs.ts";
import { Iovecs } from "../../ffi/iovecs.ts";
import { libc } from "../../ffi/libc.ts";
import { type Folder, hasSetid, MOST_DATA } from "./folder.ts";
import { PERMISSIONS, writeEntry } from "./folder_attributes.ts";
import { folderDescriptor, lookUp, settleMode } from "./folder_names.ts";
import type { FileHandle } from "./handle_table.ts";
import type { Inode } from "./inode_table.ts";
import {
  fuse_create_in,
  fuse_entry_out,
  fuse_fallocate_in,
  fuse_flush_in,
  fuse_fsync_in,
  fuse_lseek_in,
  fuse_lseek_out,
  fuse_open_in,
  fuse_open_out,
  fuse_read_in,
  fuse_release_in,
  fuse_write_in,
  fuse_write_out,
} from "./messages.ts";
import { FSYNC_FDATASYNC, Opcode, WRITE_CACHE } from "./protocol.ts";
import { ANSWER, ARGUMENTS, type FuseRequest } from "./request.ts";
import type { Operations } from "./server.ts";

/** The flags of open(2) that a client's are passed on. */
const PASSED = O.O_ACCMODE | O.O_APPEND | O.O_SYNC;
/** A plain file never waits, but a lease on it may; anything else is not opened at all. */
const ALWAYS = O.O_NONBLOCK;
const MOST_POSITION = 2 ** 53 - 1;

/**
 * The operations on plain files.
 *
 * @param folder The folder
 * @param request The server's request
 */
export function fileOperations(folder: Folder, request: FuseRequest): Operations {
  return {
    ...openingOperations(folder, request),
    ...dataOperations(folder, request),
    ...otherOperations(folder, request),
  };
}

/** Whether it is a plain file that is served; 0 or a negated errno. */
function refusal(inode: Inode): number {
  if (inode.hollow) return -Errno.EACCES;
  switch (inode.type) {
    case S.S_IFREG:
      return 0;
    case S.S_IFDIR:
      return -Errno.EISDIR;
    case S.S_IFLNK:
      return -Errno.ELOOP;
    default:
      return -Errno.ENXIO; // the client's kernel opens devices, FIFOs and sockets itself
  }
}

function openingOperations(folder: Folder, request: FuseRequest): Operations {
  const open = new fuse_open_in(request.view, ARGUMENTS);
  const create = new fuse_create_in(request.view, ARGUMENTS);
  const opened = new fuse_open_out(request.reply, ANSWER);
  const created = new fuse_open_out(request.reply, ANSWER + fuse_entry_out.size);

  /** Hands an open file out. */
  const hand = (out: typeof opened, inode: Inode, fd: number, flags: number): void => {
    const handle = handFile(folder, inode, fd, flags);
    if ((flags & O.O_TRUNC) !== 0) folder.dropSetid(handle);
    out.fh = handle.fh;
    out.open_flags = folder.openFlags(false);
  };

  return {
    [Opcode.OPEN]: {
      args: fuse_open_in.size,
      answer: fuse_open_out.size,
      run() {
        const inode = folder.inodes.get(request.nodeid);
        if (inode === undefined) return -Errno.ESTALE;
        const { flags } = open;
        const fd = openNode(folder, inode, flags);
        if (fd < 0) return fd;
        hand(opened, inode, fd, flags);
        return fuse_open_out.size;
      },
    },
    [Opcode.CREATE]: folder.writing({
      args: fuse_create_in.size,
      names: 1,
      answer: fuse_entry_out.size + fuse_open_out.size,
      run() {
        const { flags, mode } = create;
        if (folder.handles.full) return -Errno.ENFILE;
        const parent = folder.inodes.get(request.nodeid);
        const at = folderDescriptor(folder, parent);
        if (at < 0) return at;
        // O_EXCL in any case: a FIFO or a link that came to be there meanwhile is not to be opened.
        const how = (flags & PASSED) | O.O_CREAT | O.O_EXCL | ALWAYS;
        let fd = openBeneath(at, request.name, how, mode & PERMISSIONS);
        const isNew = fd >= 0;
        if (fd < 0 && (fd !== -Errno.EEXIST || (flags & O.O_EXCL) !== 0)) return fd;
        const inode = lookUp(folder, parent!, request.name);
        if (typeof inode === "number") {
          if (isNew) libc.close(fd);
          return inode;
        }
        if (isNew) settleMode(folder, inode, mode);
        else fd = openNode(folder, inode, flags);
        if (fd < 0) {
          folder.inodes.forget(inode.nodeid, 1);
          return fd;
        }
        if (!isNew) statDescriptor(fd, folder.stat); // it may be empty by now
        writeEntry(request.reply, ANSWER, inode, folder.stat, folder);
        hand(created, inode, fd, flags);
        return fuse_entry_out.size + fuse_open_out.size;
      },
    }),
    [Opcode.RELEASE]: {
      args: fuse_release_in.size,
      run() {
        const handle = folder.handles.get(readHandle(request));
        return handle === undefined ? -Errno.EBADF : close(folder, handle);
      },
    },
  };
}

/**
 * Opens a plain file.
 *
 * @param folder What is served
 * @param inode The file
 * @param flags Of open(2), from the client
 * @returns A descriptor of the caller's, or a negated errno
 */
export function openNode(folder: Folder, inode: Inode, flags: number): number {
  const refused = refusal(inode);
  if (refused < 0) return refused;
  if (folder.readonly && (isWriting(flags) || (flags & O.O_TRUNC) !== 0)) return -Errno.EROFS;
  if (folder.handles.full) return -Errno.ENFILE;
  return folder.files.reopen(inode, (flags & (PASSED | O.O_TRUNC)) | ALWAYS);
}

/**
 * Makes an open file known to the client.
 *
 * @param folder What is served
 * @param inode The file
 * @param fd What {@linkcode openNode} gave; the handle's from here on
 * @param flags What it was opened with
 * @param fh The name that the client knows it by; left out, a new one
 */
export function handFile(
  folder: Folder,
  inode: Inode,
  fd: number,
  flags: number,
  fh?: number,
): FileHandle {
  const handle = folder.handles.add(fd, inode, isWriting(flags), fh);
  handle.flags = flags & PASSED;
  handle.appending = (flags & O.O_APPEND) !== 0;
  handle.setid = handle.writable && statDescriptor(fd, folder.stat) === 0 &&
    hasSetid(inode, folder.stat);
  return handle;
}

/** Closes an open file, and forgets its node if nobody else knows it. */
export function close(folder: Folder, handle: FileHandle): number {
  folder.handles.remove(handle);
  folder.inodes.release(handle.inode);
  return 0;
}

function isWriting(flags: number): boolean {
  return (flags & O.O_ACCMODE) !== O.O_RDONLY;
}

/** `fh`, which is the first of the arguments wherever there is one. */
export function readHandle({ view }: FuseRequest): number {
  return view.getUint32(ARGUMENTS, true) + view.getUint32(ARGUMENTS + 4, true) * 2 ** 32;
}

function dataOperations(folder: Folder, request: FuseRequest): Operations {
  const read = new fuse_read_in(request.view, ARGUMENTS);
  const write = new fuse_write_in(request.view, ARGUMENTS);
  const written = new fuse_write_out(request.reply, ANSWER);
  const iovecs = new Iovecs();
  return {
    [Opcode.READ]: {
      args: fuse_read_in.size,
      direct: true,
      run() {
        const handle = fileOf(folder, read.fh);
        if (handle === undefined) return -Errno.EBADF;
        const { position } = read;
        const size = Math.min(read.size, request.room, MOST_DATA);
        if (position > MOST_POSITION - size) return 0; // no file is so long
        let done = 0;
        while (done < size) {
          const count = request.message.writableIovecs(ANSWER + done, size - done, iovecs.words);
          const got = iovecs.readAt(handle.fd, count, position + done);
          if (got < 0 && done === 0) return got;
          if (got <= 0) break;
          done += got;
          // Only a message in more pieces than one call takes is worth another.
          if (got < iovecs.bytes(count)) break;
        }
        folder.bytesRead += done;
        return done;
      },
    },
    [Opcode.WRITE]: folder.writing({
      args: fuse_write_in.size,
      answer: fuse_write_out.size,
      run() {
        const handle = fileOf(folder, write.fh);
        if (handle === undefined || !handle.writable) return -Errno.EBADF;
        const { position, size } = write;
        const start = ARGUMENTS + fuse_write_in.size;
        if (size > MOST_DATA || size > request.length - start) return -Errno.EINVAL;
        if (position > MOST_POSITION - size) return -Errno.EFBIG;
        const failed = settleAppending(handle, write);
        if (failed < 0) return failed;
        folder.dropSetid(handle);
        let done = 0;
        while (done < size) {
          const from = start + done;
          const count = request.message.readableIovecs(from, size - done, iovecs.words);
          const put = iovecs.writeAt(handle.fd, count, position + done);
          if (put < 0 && done === 0) return put;
          if (put <= 0) break;
          done += put;
        }
        folder.bytesWritten += done;
        written.size = done;
        return fuse_write_out.size;
      },
    }),
  };
}

/**
 * Has a descriptor append, or write where it is told. What a mapping of the file has changed goes to its
 * own place, by whichever open file the client has: pwritev(2) ignores the place where there is O_APPEND.
 *
 * @param handle The open file
 * @param write What is to be done to it
 * @returns 0, or a negated errno: EPERM where a file can only be appended to
 */
function settleAppending(
  handle: FileHandle,
  { flags, write_flags }: InstanceType<typeof fuse_write_in>,
): number {
  const appends = (flags & O.O_APPEND) !== 0 && (write_flags & WRITE_CACHE) === 0;
  if (handle.appending === appends) return 0;
  const failed = setStatusFlags(handle.fd, ALWAYS | (appends ? O.O_APPEND : 0));
  if (failed === 0) handle.appending = appends;
  return failed;
}

/** An open plain file; folders have handles too. */
function fileOf(folder: Folder, fh: number): FileHandle | undefined {
  const handle = folder.handles.get(fh);
  return handle === undefined || handle.inode.type !== S.S_IFREG ? undefined : handle;
}

function otherOperations(folder: Folder, request: FuseRequest): Operations {
  const fsync = new fuse_fsync_in(request.view, ARGUMENTS);
  const lseek = new fuse_lseek_in(request.view, ARGUMENTS);
  const sought = new fuse_lseek_out(request.reply, ANSWER);
  const allocate = new fuse_fallocate_in(request.view, ARGUMENTS);
  return {
    [Opcode.FLUSH]: {
      args: fuse_flush_in.size,
      run: () => fileOf(folder, readHandle(request)) === undefined ? -Errno.EBADF : 0,
    },
    [Opcode.FSYNC]: {
      args: fuse_fsync_in.size,
      run() {
        const handle = fileOf(folder, fsync.fh);
        if (handle === undefined) return -Errno.EBADF;
        if (folder.readonly) return 0;
        return syncFile(handle.fd, (fsync.fsync_flags & FSYNC_FDATASYNC) !== 0);
      },
    },
    [Opcode.LSEEK]: {
      args: fuse_lseek_in.size,
      answer: fuse_lseek_out.size,
      run() {
        const handle = fileOf(folder, lseek.fh);
        if (handle === undefined) return -Errno.EBADF;
        const { whence } = lseek;
        // The others are the client's own work.
        if (whence !== SEEK.SEEK_DATA && whence !== SEEK.SEEK_HOLE) return -Errno.EINVAL;
        const position = seekFile(handle.fd, BigInt.asIntN(64, lseek.position), whence);
        if (position < 0n) return Number(position);
        sought.position = position;
        return fuse_lseek_out.size;
      },
    },
    [Opcode.FALLOCATE]: folder.writing({
      args: fuse_fallocate_in.size,
      run() {
        const handle = fileOf(folder, allocate.fh);
        if (handle === undefined || !handle.writable) return -Errno.EBADF;
        const { position, length, mode } = allocate;
        if (position + length > MOST_POSITION) return -Errno.EFBIG;
        folder.dropSetid(handle);
        return allocateFile(handle.fd, mode | 0, position, length);
      },
    }),
  };
}
