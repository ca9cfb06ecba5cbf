/**
 * Numbers of the FUSE protocol (linux/fuse.h, version 7.38).
 *
 * @module
 */

/** The protocol's version that is spoken here. */
export const KERNEL_VERSION = 7;
/** Its minor version. */
export const KERNEL_MINOR_VERSION = 38;
/** The oldest minor version that a peer may have: since 7.28 it says how long messages may be. */
export const OLDEST_MINOR_VERSION = 28;
/** The first minor version with FOPEN_NOFLUSH. */
export const NOFLUSH_MINOR_VERSION = 35;
/** The node that is always there. */
export const ROOT_ID = 1;

/** `enum fuse_opcode` */
export const Opcode = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SETUPMAPPING: 48,
  REMOVEMAPPING: 49,
  SYNCFS: 50,
  TMPFILE: 51,
} as const;

/** `fuse_init_in.flags` and `fuse_init_out.flags`. */
export const InitFlag = {
  ASYNC_READ: 1 << 0,
  POSIX_LOCKS: 1 << 1,
  ATOMIC_O_TRUNC: 1 << 3,
  EXPORT_SUPPORT: 1 << 4,
  BIG_WRITES: 1 << 5,
  DONT_MASK: 1 << 6,
  FLOCK_LOCKS: 1 << 10,
  AUTO_INVAL_DATA: 1 << 12,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  WRITEBACK_CACHE: 1 << 16,
  PARALLEL_DIROPS: 1 << 18,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  EXPLICIT_INVAL_DATA: 1 << 25,
  SUBMOUNTS: 1 << 27,
  INIT_EXT: 1 << 30,
} as const;

/** `fuse_setattr_in.valid` */
export const Fattr = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  FH: 1 << 6,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  LOCKOWNER: 1 << 9,
  CTIME: 1 << 10,
  KILL_SUIDGID: 1 << 11,
} as const;

/** `fuse_open_out.open_flags` */
export const Fopen = {
  DIRECT_IO: 1 << 0,
  KEEP_CACHE: 1 << 1,
  NONSEEKABLE: 1 << 2,
  CACHE_DIR: 1 << 3,
  STREAM: 1 << 4,
  NOFLUSH: 1 << 5,
} as const;

/** `fuse_getattr_in.getattr_flags`: `fh` is valid. */
export const GETATTR_FH = 1;
/** `fuse_write_in.write_flags`: from the client's page cache, written by a mapping. */
export const WRITE_CACHE = 1;
/** `fuse_fsync_in.fsync_flags`: data only. */
export const FSYNC_FDATASYNC = 1;
/** `fuse_poll_in.flags`: a notification is wanted when something changes. */
export const POLL_SCHEDULE_NOTIFY = 1;
/** `fuse_out_header.error` of a notification, whose `unique` is 0: wake those who poll. */
export const NOTIFY_POLL = 1;
