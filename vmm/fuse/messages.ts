/**
 * Structs of the FUSE protocol (linux/fuse.h): a request is `fuse_in_header`, the operation's
 * arguments, names that end with a NUL, data; a reply is `fuse_out_header` and the operation's answer.
 *
 * Offsets and sizes in files, nodes and handles are numbers, exact to 2^53: an implementation hands
 * out small ones, and refuses what it has not handed out.
 *
 * @module
 */
import { addr64, array, i32, struct, u16, u32, u64 } from "../../ffi/struct.ts";

/** `struct fuse_in_header` */
export const fuse_in_header = struct("fuse_in_header", {
  len: u32,
  opcode: u32,
  unique: u64,
  nodeid: addr64,
  uid: u32,
  gid: u32,
  pid: u32,
  total_extlen: u16,
  padding: u16,
});

/** `struct fuse_out_header` */
export const fuse_out_header = struct("fuse_out_header", { len: u32, error: i32, unique: u64 });

/** `struct fuse_attr` */
export const fuse_attr = struct("fuse_attr", {
  ino: u64,
  size: u64,
  blocks: u64,
  atime: u64,
  mtime: u64,
  ctime: u64,
  atimensec: u32,
  mtimensec: u32,
  ctimensec: u32,
  mode: u32,
  nlink: u32,
  uid: u32,
  gid: u32,
  rdev: u32,
  blksize: u32,
  flags: u32,
});

/** `struct fuse_entry_out` */
export const fuse_entry_out = struct("fuse_entry_out", {
  nodeid: addr64,
  generation: addr64,
  entry_valid: addr64,
  attr_valid: addr64,
  entry_valid_nsec: u32,
  attr_valid_nsec: u32,
  attr: fuse_attr,
});

/** `struct fuse_forget_in` */
export const fuse_forget_in = struct("fuse_forget_in", { nlookup: addr64 });

/** `struct fuse_forget_one` */
export const fuse_forget_one = struct("fuse_forget_one", { nodeid: addr64, nlookup: addr64 });

/** `struct fuse_batch_forget_in` */
export const fuse_batch_forget_in = struct("fuse_batch_forget_in", { count: u32, dummy: u32 });

/** `struct fuse_getattr_in` */
export const fuse_getattr_in = struct("fuse_getattr_in", {
  getattr_flags: u32,
  dummy: u32,
  fh: addr64,
});

/** `struct fuse_attr_out` */
export const fuse_attr_out = struct("fuse_attr_out", {
  attr_valid: addr64,
  attr_valid_nsec: u32,
  dummy: u32,
  attr: fuse_attr,
});

/** `struct fuse_mknod_in` */
export const fuse_mknod_in = struct("fuse_mknod_in", {
  mode: u32,
  rdev: u32,
  umask: u32,
  padding: u32,
});

/** `struct fuse_mkdir_in` */
export const fuse_mkdir_in = struct("fuse_mkdir_in", { mode: u32, umask: u32 });

/** `struct fuse_rename_in` */
export const fuse_rename_in = struct("fuse_rename_in", { newdir: addr64 });

/** `struct fuse_rename2_in` */
export const fuse_rename2_in = struct("fuse_rename2_in", {
  newdir: addr64,
  flags: u32,
  padding: u32,
});

/** `struct fuse_link_in` */
export const fuse_link_in = struct("fuse_link_in", { oldnodeid: addr64 });

/** `struct fuse_setattr_in` */
export const fuse_setattr_in = struct("fuse_setattr_in", {
  valid: u32,
  padding: u32,
  fh: addr64,
  size: addr64,
  lock_owner: u64,
  atime: u64,
  mtime: u64,
  ctime: u64,
  atimensec: u32,
  mtimensec: u32,
  ctimensec: u32,
  mode: u32,
  unused4: u32,
  uid: u32,
  gid: u32,
  unused5: u32,
});

/** `struct fuse_open_in` */
export const fuse_open_in = struct("fuse_open_in", { flags: u32, open_flags: u32 });

/** `struct fuse_create_in` */
export const fuse_create_in = struct("fuse_create_in", {
  flags: u32,
  mode: u32,
  umask: u32,
  open_flags: u32,
});

/** `struct fuse_open_out` */
export const fuse_open_out = struct("fuse_open_out", { fh: addr64, open_flags: u32, padding: u32 });

/** `struct fuse_release_in` */
export const fuse_release_in = struct("fuse_release_in", {
  fh: addr64,
  flags: u32,
  release_flags: u32,
  lock_owner: u64,
});

/** `struct fuse_flush_in` */
export const fuse_flush_in = struct("fuse_flush_in", {
  fh: addr64,
  unused: u32,
  padding: u32,
  lock_owner: u64,
});

/** `struct fuse_read_in` */
export const fuse_read_in = struct("fuse_read_in", {
  fh: addr64,
  // Named `offset` in C, which is a member of every struct here.
  position: addr64,
  size: u32,
  read_flags: u32,
  lock_owner: u64,
  flags: u32,
  padding: u32,
});

/** `struct fuse_write_in` */
export const fuse_write_in = struct("fuse_write_in", {
  fh: addr64,
  position: addr64,
  size: u32,
  write_flags: u32,
  lock_owner: u64,
  flags: u32,
  padding: u32,
});

/** `struct fuse_write_out` */
export const fuse_write_out = struct("fuse_write_out", { size: u32, padding: u32 });

/** `struct fuse_kstatfs` */
export const fuse_kstatfs = struct("fuse_kstatfs", {
  blocks: u64,
  bfree: u64,
  bavail: u64,
  files: u64,
  ffree: u64,
  bsize: u32,
  namelen: u32,
  frsize: u32,
  padding: u32,
  spare: array(u32, 6),
});

/** `struct fuse_statfs_out` */
export const fuse_statfs_out = struct("fuse_statfs_out", { st: fuse_kstatfs });

/** `struct fuse_fsync_in` */
export const fuse_fsync_in = struct("fuse_fsync_in", {
  fh: addr64,
  fsync_flags: u32,
  padding: u32,
});

/** `struct fuse_access_in` */
export const fuse_access_in = struct("fuse_access_in", { mask: u32, padding: u32 });

/** `struct fuse_init_in` */
export const fuse_init_in = struct("fuse_init_in", {
  major: u32,
  minor: u32,
  max_readahead: u32,
  flags: u32,
  flags2: u32,
  unused: array(u32, 11),
});

/** `struct fuse_init_out` */
export const fuse_init_out = struct("fuse_init_out", {
  major: u32,
  minor: u32,
  max_readahead: u32,
  flags: u32,
  max_background: u16,
  congestion_threshold: u16,
  max_write: u32,
  time_gran: u32,
  max_pages: u16,
  map_alignment: u16,
  flags2: u32,
  unused: array(u32, 7),
});

/** `struct fuse_interrupt_in` */
export const fuse_interrupt_in = struct("fuse_interrupt_in", { unique: u64 });

/** `struct fuse_poll_in` */
export const fuse_poll_in = struct("fuse_poll_in", {
  fh: addr64,
  kh: u64,
  flags: u32,
  events: u32,
});

/** `struct fuse_poll_out` */
export const fuse_poll_out = struct("fuse_poll_out", { revents: u32, padding: u32 });

/** `struct fuse_notify_poll_wakeup_out` */
export const fuse_notify_poll_wakeup_out = struct("fuse_notify_poll_wakeup_out", { kh: u64 });

/** `struct fuse_fallocate_in` */
export const fuse_fallocate_in = struct("fuse_fallocate_in", {
  fh: addr64,
  position: addr64,
  length: addr64,
  mode: u32,
  padding: u32,
});

/** `struct fuse_lseek_in` */
export const fuse_lseek_in = struct("fuse_lseek_in", {
  fh: addr64,
  position: u64,
  whence: u32,
  padding: u32,
});

/** `struct fuse_lseek_out` */
export const fuse_lseek_out = struct("fuse_lseek_out", { position: u64 });

/** As far as the name, which ends without a NUL; the entry's length is a multiple of 8. */
export const fuse_dirent = struct("fuse_dirent", { ino: u64, off: u64, namelen: u32, type: u32 });

/** `struct fuse_direntplus` */
export const fuse_direntplus = struct("fuse_direntplus", {
  entry_out: fuse_entry_out,
  dirent: fuse_dirent,
});
