/**
 * Layouts and numbers of the kernel's calls about files: `statx`, `openat2`, `statfs`, `getdents64`
 * (linux/stat.h, linux/openat2.h, asm-generic/statfs.h, linux/fcntl.h of x86-64).
 *
 * @module
 */
import { array, i32, struct, u16, u32, u64, u8 } from "./struct.ts";

/** `struct statx_timestamp` */
export const statx_timestamp = struct("statx_timestamp", { tv_sec: u64, tv_nsec: u32, pad: i32 });

/** `struct statx` */
export const statx = struct("statx", {
  stx_mask: u32,
  stx_blksize: u32,
  stx_attributes: u64,
  stx_nlink: u32,
  stx_uid: u32,
  stx_gid: u32,
  stx_mode: u16,
  pad0: u16,
  stx_ino: u64,
  stx_size: u64,
  stx_blocks: u64,
  stx_attributes_mask: u64,
  stx_atime: statx_timestamp,
  stx_btime: statx_timestamp,
  stx_ctime: statx_timestamp,
  stx_mtime: statx_timestamp,
  stx_rdev_major: u32,
  stx_rdev_minor: u32,
  stx_dev_major: u32,
  stx_dev_minor: u32,
  stx_mnt_id: u64,
  stx_dio_mem_align: u32,
  stx_dio_offset_align: u32,
}, { size: 256 });

/** `struct open_how` */
export const open_how = struct("open_how", { flags: u64, mode: u64, resolve: u64 });

/** `struct statfs` */
export const statfs = struct("statfs", {
  f_type: u64,
  f_bsize: u64,
  f_blocks: u64,
  f_bfree: u64,
  f_bavail: u64,
  f_files: u64,
  f_ffree: u64,
  f_fsid: array(i32, 2),
  f_namelen: u64,
  f_frsize: u64,
  f_flags: u64,
  pad: array(u64, 4),
});

/** `struct linux_dirent64` of getdents64(2) as far as its name, which ends with a NUL. */
export const dirent64 = struct("dirent64", { d_ino: u64, d_off: u64, d_reclen: u16, d_type: u8 }, {
  packed: true,
});

/** Flags of open(2). */
export const O = {
  O_RDONLY: 0,
  O_WRONLY: 0o1,
  O_RDWR: 0o2,
  O_ACCMODE: 0o3,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_NOCTTY: 0o400,
  O_TRUNC: 0o1000,
  O_APPEND: 0o2000,
  O_NONBLOCK: 0o4000,
  O_DSYNC: 0o10000,
  O_DIRECTORY: 0o200000,
  O_NOFOLLOW: 0o400000,
  O_CLOEXEC: 0o2000000,
  O_SYNC: 0o4010000,
  O_PATH: 0o10000000,
} as const;

/** Flags of openat2(2). */
export const RESOLVE = {
  RESOLVE_NO_MAGICLINKS: 0x02,
  RESOLVE_NO_SYMLINKS: 0x04,
  RESOLVE_BENEATH: 0x08,
} as const;

/** Flags of the calls that take a folder's descriptor. */
export const AT = {
  AT_SYMLINK_NOFOLLOW: 0x100,
  AT_REMOVEDIR: 0x200,
  AT_SYMLINK_FOLLOW: 0x400,
  AT_NO_AUTOMOUNT: 0x800,
  AT_EMPTY_PATH: 0x1000,
} as const;

/** A file's type and permissions, `st_mode`. */
export const S = {
  S_IFMT: 0o170000,
  S_IFSOCK: 0o140000,
  S_IFLNK: 0o120000,
  S_IFREG: 0o100000,
  S_IFBLK: 0o60000,
  S_IFDIR: 0o40000,
  S_IFCHR: 0o20000,
  S_IFIFO: 0o10000,
  S_ISUID: 0o4000,
  S_ISGID: 0o2000,
} as const;

/** What `statx` is asked for: `STATX_BASIC_STATS | STATX_BTIME`. */
export const STATX_ALL = 0xfff;
/** Whether `stx_btime` was filled in. */
export const STATX_BTIME = 0x800;
/** `tv_nsec` of utimensat(2): the time it is now, and as it was. */
export const UTIME = { UTIME_NOW: 0x3fffffff, UTIME_OMIT: 0x3ffffffe } as const;
/** Flags of renameat2(2). */
export const RENAME = { RENAME_NOREPLACE: 1, RENAME_EXCHANGE: 2 } as const;
/** `whence` of lseek(2). */
export const SEEK = { SEEK_SET: 0, SEEK_DATA: 3, SEEK_HOLE: 4 } as const;
