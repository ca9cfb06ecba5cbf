/**
 * A host file's attributes as a FUSE client sees them, and GETATTR, SETATTR, STATFS, ACCESS.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { setTimes, statFilesystem, truncateFile } from "../../ffi/file_at.ts";
import { O, S, statfs, statx, UTIME } from "../../ffi/file_structs.ts";
import { libc } from "../../ffi/libc.ts";
import { deviceOf } from "./device_table.ts";
import type { Folder } from "./folder.ts";
import type { Inode } from "./inode_table.ts";
import {
  fuse_access_in,
  fuse_attr,
  fuse_attr_out,
  fuse_entry_out,
  fuse_getattr_in,
  fuse_kstatfs,
  fuse_setattr_in,
} from "./messages.ts";
import { Fattr, GETATTR_FH, Opcode } from "./protocol.ts";
import { ANSWER, ARGUMENTS, type FuseRequest, type Operation } from "./request.ts";
import type { Operations } from "./server.ts";

const F = statx.offsets;
const A = fuse_attr.offsets;
const NSEC = 8;
const MOST_SIZE = 2 ** 53 - 1;
/** Permissions without those that make a program run as somebody else. */
export const PERMISSIONS = 0o1777;
const W_OK = 2;
const ACCESS_MASK = 7;

/** Who owns the files. */
export interface Owners {
  /** The host's user whose files the client's root sees as its own. */
  readonly ownUid: number;
  /** The host's group likewise. */
  readonly ownGid: number;
  /** What all files' owner is, if it is one. */
  readonly uid: number | undefined;
  /** What all files' group is, if it is one. */
  readonly gid: number | undefined;
}

/** The user who owns a file, as the client sees it. */
export function shownUid(owners: Owners, stat: DataView): number {
  if (owners.uid !== undefined) return owners.uid;
  const uid = stat.getUint32(F.stx_uid, true);
  return uid === owners.ownUid ? 0 : uid;
}

/** The group that owns a file, as the client sees it. */
export function shownGid(owners: Owners, stat: DataView): number {
  if (owners.gid !== undefined) return owners.gid;
  const gid = stat.getUint32(F.stx_gid, true);
  return gid === owners.ownGid ? 0 : gid;
}

/**
 * Writes a `struct fuse_attr`.
 *
 * @param out Where to
 * @param at Its offset there
 * @param stat The file's `struct statx`
 * @param folder Whose
 */
function writeAttr(
  out: DataView,
  at: number,
  stat: DataView,
  { owners, devices }: Folder,
): void {
  copy32(out, at + A.ino, stat, F.stx_ino);
  const upper = devices.upper(stat.getUint32(F.stx_ino + 4, true), deviceOf(stat));
  out.setUint32(at + A.ino + 4, upper, true);
  copy64(out, at + A.size, stat, F.stx_size);
  copy64(out, at + A.blocks, stat, F.stx_blocks);
  copy64(out, at + A.atime, stat, F.stx_atime);
  copy64(out, at + A.mtime, stat, F.stx_mtime);
  copy64(out, at + A.ctime, stat, F.stx_ctime);
  copy32(out, at + A.atimensec, stat, F.stx_atime + NSEC);
  copy32(out, at + A.mtimensec, stat, F.stx_mtime + NSEC);
  copy32(out, at + A.ctimensec, stat, F.stx_ctime + NSEC);
  out.setUint32(at + A.mode, stat.getUint16(F.stx_mode, true), true);
  copy32(out, at + A.nlink, stat, F.stx_nlink);
  out.setUint32(at + A.uid, shownUid(owners, stat), true);
  out.setUint32(at + A.gid, shownGid(owners, stat), true);
  const major = stat.getUint32(F.stx_rdev_major, true);
  const minor = stat.getUint32(F.stx_rdev_minor, true);
  // new_encode_dev() of linux/kdev_t.h
  const rdev = (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
  out.setUint32(at + A.rdev, rdev >>> 0, true);
  copy32(out, at + A.blksize, stat, F.stx_blksize);
  out.setUint32(at + A.flags, 0, true);
}

/**
 * Writes a `struct fuse_entry_out` whose other fields are zero.
 *
 * @param out Where to
 * @param at Its offset there
 * @param inode The node
 * @param stat Its file's `struct statx`
 * @param folder Whose
 */
export function writeEntry(
  out: DataView,
  at: number,
  inode: Inode,
  stat: DataView,
  folder: Folder,
): void {
  const { nodeid, entry_valid, attr_valid, attr } = fuse_entry_out.offsets;
  out.setUint32(at + nodeid, inode.nodeid, true);
  out.setUint32(at + nodeid + 4, Math.floor(inode.nodeid / 2 ** 32), true);
  out.setUint32(at + entry_valid, folder.seconds, true);
  out.setUint32(at + attr_valid, folder.seconds, true);
  writeAttr(out, at + attr, stat, folder);
}

/**
 * The operations on attributes.
 *
 * @param folder The folder
 * @param request The server's request
 */
export function attributeOperations(folder: Folder, request: FuseRequest): Operations {
  const change = new AttributeChange(folder, request);
  const getattr = new fuse_getattr_in(request.view, ARGUMENTS);
  const access = new fuse_access_in(request.view, ARGUMENTS);
  const filesystem = new statfs();
  return {
    [Opcode.GETATTR]: {
      args: fuse_getattr_in.size,
      answer: fuse_attr_out.size,
      run() {
        const inode = folder.inodes.get(request.nodeid);
        if (inode === undefined) return -Errno.ESTALE;
        const open = (getattr.getattr_flags & GETATTR_FH) !== 0
          ? folder.handles.get(getattr.fh)
          : undefined;
        const failed = open === undefined || open.fd < 0 || open.inode !== inode
          ? folder.files.stat(inode, folder.stat)
          : folder.statOpen(open);
        return failed < 0 ? failed : attributes(folder, request);
      },
    },
    [Opcode.SETATTR]: folder.writing(change),
    [Opcode.STATFS]: {
      args: 0,
      answer: fuse_kstatfs.size,
      run() {
        const failed = statFilesystem(
          folder.inodes.root.fd,
          filesystem.view as DataView<ArrayBuffer>,
        );
        return failed < 0 ? failed : writeStatfs(request.reply, filesystem.view);
      },
    },
    [Opcode.ACCESS]: {
      args: fuse_access_in.size,
      run() {
        const mask = access.mask & ACCESS_MASK;
        if ((mask & W_OK) !== 0 && folder.readonly) return -Errno.EROFS;
        const inode = folder.inodes.get(request.nodeid);
        if (inode === undefined) return -Errno.ESTALE;
        if (inode.type === S.S_IFLNK) return 0;
        const fd = folder.files.descriptor(inode);
        return fd < 0 ? fd : folder.links.access(fd, mask);
      },
    },
  };
}

/** SETATTR. */
class AttributeChange implements Operation {
  readonly args = fuse_setattr_in.size;
  readonly answer = fuse_attr_out.size;
  readonly #folder: Folder;
  readonly #in: InstanceType<typeof fuse_setattr_in>;
  readonly #times = new DataView(new ArrayBuffer(32));

  constructor(folder: Folder, request: FuseRequest) {
    this.#folder = folder;
    this.#in = new fuse_setattr_in(request.view, ARGUMENTS);
  }

  run(request: FuseRequest): number {
    const folder = this.#folder;
    const inode = folder.inodes.get(request.nodeid);
    if (inode === undefined) return -Errno.ESTALE;
    if (inode.hollow) return -Errno.EACCES;
    const fd = folder.files.descriptor(inode);
    if (fd < 0) return fd;
    let failed = folder.files.stat(inode, folder.stat);
    if (failed === 0) failed = this.#refused(inode);
    const { valid } = this.#in;
    if (failed === 0 && (valid & Fattr.MODE) !== 0) failed = this.#mode(inode, fd);
    if (failed === 0 && (valid & Fattr.SIZE) !== 0) failed = this.#size(inode);
    if (failed === 0 && (valid & (Fattr.ATIME | Fattr.MTIME)) !== 0) failed = this.#setTimes(inode);
    if (failed === 0) failed = folder.files.stat(inode, folder.stat);
    return failed < 0 ? failed : attributes(folder, request);
  }

  /** What can't be done, before any of it is. Files stay the host user's. */
  #refused(inode: Inode): number {
    const { valid, uid, gid, size } = this.#in;
    const { owners, stat } = this.#folder;
    if ((valid & Fattr.UID) !== 0 && uid !== shownUid(owners, stat)) return -Errno.EPERM;
    if ((valid & Fattr.GID) !== 0 && gid !== shownGid(owners, stat)) return -Errno.EPERM;
    if ((valid & Fattr.MODE) !== 0 && inode.type === S.S_IFLNK) return -Errno.ENOTSUP;
    if ((valid & Fattr.SIZE) === 0) return 0;
    if (inode.type !== S.S_IFREG) return inode.type === S.S_IFDIR ? -Errno.EISDIR : -Errno.EINVAL;
    return size > MOST_SIZE ? -Errno.EFBIG : 0;
  }

  /** Permissions. On a folder set-group-ID gives no rights: it says whose new files are. */
  #mode(inode: Inode, fd: number): number {
    const allowed = PERMISSIONS | (inode.type === S.S_IFDIR ? S.S_ISGID : 0);
    return this.#folder.links.chmod(fd, this.#in.mode & allowed);
  }

  #size(inode: Inode): number {
    const folder = this.#folder;
    const { valid, fh, size } = this.#in;
    const open = (valid & Fattr.FH) !== 0 ? folder.handles.get(fh) : undefined;
    if (open !== undefined && open.inode === inode && open.writable) {
      folder.dropSetid(open);
      return truncateFile(open.fd, size);
    }
    const failed = folder.dropSetidOf(inode, folder.stat);
    if (failed < 0) return failed;
    const fd = folder.files.reopen(inode, O.O_WRONLY | O.O_NONBLOCK);
    if (fd < 0) return fd;
    const result = truncateFile(fd, size);
    libc.close(fd);
    return result;
  }

  #setTimes(inode: Inode): number {
    const { valid } = this.#in;
    const { atime, mtime, atimensec, mtimensec } = fuse_setattr_in.offsets;
    this.#time(0, (valid & Fattr.ATIME) !== 0, (valid & Fattr.ATIME_NOW) !== 0, atime, atimensec);
    this.#time(16, (valid & Fattr.MTIME) !== 0, (valid & Fattr.MTIME_NOW) !== 0, mtime, mtimensec);
    const fd = this.#folder.files.descriptor(inode);
    return fd < 0 ? fd : setTimes(fd, this.#times);
  }

  #time(at: number, set: boolean, now: boolean, seconds: number, nsec: number): void {
    const { view } = this.#in;
    copy64(this.#times, at, view, ARGUMENTS + seconds);
    const given = now ? UTIME.UTIME_NOW : view.getUint32(ARGUMENTS + nsec, true);
    this.#times.setUint32(at + 8, set ? given : UTIME.UTIME_OMIT, true);
  }
}

/** Answers with the attributes that were just looked at. */
function attributes(folder: Folder, request: FuseRequest): number {
  const { attr_valid, attr } = fuse_attr_out.offsets;
  request.reply.setUint32(ANSWER + attr_valid, folder.seconds, true);
  writeAttr(request.reply, ANSWER + attr, folder.stat, folder);
  return fuse_attr_out.size;
}

function writeStatfs(out: DataView, from: DataView): number {
  const to = fuse_kstatfs.offsets;
  const { f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_bsize, f_namelen, f_frsize } =
    statfs.offsets;
  copy64(out, ANSWER + to.blocks, from, f_blocks);
  copy64(out, ANSWER + to.bfree, from, f_bfree);
  copy64(out, ANSWER + to.bavail, from, f_bavail);
  copy64(out, ANSWER + to.files, from, f_files);
  copy64(out, ANSWER + to.ffree, from, f_ffree);
  copy32(out, ANSWER + to.bsize, from, f_bsize);
  copy32(out, ANSWER + to.namelen, from, f_namelen);
  copy32(out, ANSWER + to.frsize, from, f_frsize);
  return fuse_kstatfs.size;
}

function copy32(to: DataView, at: number, from: DataView, start: number): void {
  to.setUint32(at, from.getUint32(start, true), true);
}

function copy64(to: DataView, at: number, from: DataView, start: number): void {
  copy32(to, at, from, start);
  copy32(to, at + 4, from, start + 4);
}
