/**
 * What a disk image needs of the kernel beyond reading and writing: its kind, size and alignment, a
 * lock, and places in it without data.
 *
 * @module
 */
import { HostError } from "./errors.ts";
import { AT, S, statx } from "./file_structs.ts";
import { Errno } from "./errno.ts";
import { check, cString, errno, libc } from "./libc.ts";

/** Flags for opening an image, beside those of `OpenFlag`. */
export const DiskOpenFlag = {
  EXCL: 0o200,
  /** x86-64's value; arm64's is 0o200000. */
  DIRECT: Deno.build.arch === "aarch64" ? 0o200000 : 0o40000,
  /** A file without a name, in the folder that is opened; x86-64's value. */
  TMPFILE: Deno.build.arch === "aarch64" ? 0o20040000 : 0o20200000,
} as const;

/** Flags of fallocate(2). */
export const Fallocate = { KEEP_SIZE: 1, PUNCH_HOLE: 2, ZERO_RANGE: 16 } as const;

/** `STATX_BASIC_STATS | STATX_DIOALIGN`; kernels before 6.1 leave the second's fields 0. */
const STATX_MASK = 0x7ff | 0x2000;

/** `_IOR(0x12, 114, size_t)` and `_IO(0x12, 104)` of linux/fs.h. */
const BLKGETSIZE64 = 0x8008_1272;
const BLKSSZGET = 0x1268;

const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;
const FLOCK_BYTES = 32;
const EXDEV = 18;
const ENOLCK = 37;

/** What an open file is. */
export interface DiskFileStatus {
  /** A plain file, a block device, or something that is no disk. */
  readonly kind: "file" | "block" | "other";
  /** Bytes. */
  readonly size: number;
  /** When its contents changed last, in nanoseconds since 1970, 64 bits. */
  readonly modified: bigint;
  /** Bytes of a logical block; 512 for plain files. */
  readonly blockSize: number;
  /** Bytes that it is best read and written in. */
  readonly preferredSize: number;
  /** What O_DIRECT wants addresses and offsets to be multiples of. */
  readonly directAlignment: { readonly memory: number; readonly offset: number };
}

/** Where the kernel does not tell what O_DIRECT wants: what every file system takes. */
const SAFE_ALIGNMENT = 4096;

/**
 * Looks at an open file.
 *
 * @param fd The descriptor
 * @param path For messages
 * @throws {HostError} With the path
 */
export function diskFileStatus(fd: number, path: string): DiskFileStatus {
  const status = new statx();
  check(libc.statx(fd, cString(""), AT.AT_EMPTY_PATH, STATX_MASK, status.bytes()), "statx", {
    path,
  });
  const type = status.stx_mode & S.S_IFMT;
  const kind = type === S.S_IFREG ? "file" : type === S.S_IFBLK ? "block" : "other";
  const block = kind === "block";
  const { tv_sec, tv_nsec } = status.stx_mtime;
  return {
    kind,
    size: block ? ioctlWord(fd, BLKGETSIZE64, path) : Number(status.stx_size),
    modified: BigInt.asUintN(64, tv_sec * 1_000_000_000n + BigInt(tv_nsec)),
    blockSize: block ? ioctlWord(fd, BLKSSZGET, path) : 512,
    preferredSize: status.stx_blksize,
    directAlignment: {
      memory: status.stx_dio_mem_align || SAFE_ALIGNMENT,
      offset: status.stx_dio_offset_align || SAFE_ALIGNMENT,
    },
  };
}

function ioctlWord(fd: number, request: number, path: string): number {
  const word = new BigUint64Array(1);
  const name = request === BLKSSZGET ? "BLKSSZGET" : "BLKGETSIZE64";
  check(libc.ioctl_pointer(fd, request, word), name, { path });
  return Number(word[0]);
}

/**
 * Locks a whole file, without waiting: an open file description lock, which the kernel drops with the
 * last descriptor of this opening, whatever way the process ends. It excludes QEMU's locks too.
 *
 * @param fd The descriptor, open for writing if the lock is exclusive
 * @param exclusive For whoever writes; readers share
 * @param path For messages
 * @returns False if somebody else holds it
 * @throws {HostError} With the path
 */
export function lockDiskFile(fd: number, exclusive: boolean, path: string): boolean {
  // struct flock with l_start, l_len and l_pid 0: from the start to the end, however far that goes.
  const lock = new Int16Array(FLOCK_BYTES / 2);
  lock[0] = exclusive ? F_WRLCK : F_RDLCK;
  if (libc.fcntl_lock(fd, F_OFD_SETLK, lock) === 0) return true;
  const code = errno();
  if (code === Errno.EAGAIN || code === Errno.EACCES) return false;
  // Some network file systems have no locks at all.
  if (code === Errno.ENOTSUP || code === ENOLCK) return true;
  throw new HostError("fcntl", code, { path });
}

/**
 * Undoes {@linkcode lockDiskFile}.
 *
 * @param fd The descriptor
 */
export function unlockDiskFile(fd: number): void {
  const lock = new Int16Array(FLOCK_BYTES / 2);
  lock[0] = F_UNLCK;
  libc.fcntl_lock(fd, F_OFD_SETLK, lock); // which fails where there are no locks
}

/**
 * Copies a range from one file to another, in the kernel, and without copying where the file system
 * can share blocks.
 *
 * @param from The file that is read
 * @param fromOffset Where in it
 * @param to The file that is written
 * @param toOffset Where in it
 * @param length Bytes
 * @returns 0, or an errno; EIO where the source ends early
 */
export function copyRange(
  from: number,
  fromOffset: number,
  to: number,
  toOffset: number,
  length: number,
): number {
  const source = BigInt64Array.of(BigInt(fromOffset));
  const target = BigInt64Array.of(BigInt(toOffset));
  for (let left = length; left > 0;) {
    const count = libc.copy_file_range(from, source, to, target, BigInt(left), 0);
    if (count > 0) {
      left -= count;
    } else if (count === 0) {
      return Errno.EIO;
    } else {
      const code = errno();
      if (code === EXDEV || code === Errno.EINVAL || code === Errno.ENOTSUP) {
        return copyByBuffer(from, Number(source[0]), to, Number(target[0]), left);
      }
      if (code !== Errno.EINTR) return code;
    }
  }
  return 0;
}

const COPY_BYTES = 65536;
let copyBuffer: Uint8Array<ArrayBuffer> | undefined;

/** Block devices and some pairs of file systems have no copy_file_range. */
function copyByBuffer(
  from: number,
  fromOffset: number,
  to: number,
  toOffset: number,
  length: number,
): number {
  const buffer = copyBuffer ??= new Uint8Array(COPY_BYTES);
  for (let done = 0; done < length;) {
    const part = Math.min(COPY_BYTES, length - done);
    const count = Number(libc.pread(from, buffer, BigInt(part), BigInt(fromOffset + done)));
    if (count < 0 && errno() === Errno.EINTR) continue;
    if (count < 0) return errno();
    if (count === 0) return Errno.EIO;
    const failure = writeAll(to, buffer, count, toOffset + done);
    if (failure !== 0) return failure;
    done += count;
  }
  return 0;
}

/**
 * Writes the start of a buffer at an offset.
 *
 * @param fd The file
 * @param bytes The buffer
 * @param length How much of it
 * @param offset Where in the file
 * @returns 0, or an errno
 */
export function writeAll(
  fd: number,
  bytes: Uint8Array<ArrayBuffer>,
  length: number,
  offset: number,
): number {
  for (let done = 0; done < length;) {
    const rest = done === 0 ? bytes : bytes.subarray(done);
    const count = Number(libc.pwrite(fd, rest, BigInt(length - done), BigInt(offset + done)));
    if (count >= 0) {
      done += count;
    } else {
      const code = errno();
      if (code !== Errno.EINTR) return code;
    }
  }
  return 0;
}

/**
 * Reads at an offset until a buffer is full.
 *
 * @param fd The file
 * @param bytes The buffer
 * @param offset Where in the file
 * @returns How many bytes there were up to the file's end; negative for an errno
 */
export function readAll(fd: number, bytes: Uint8Array<ArrayBuffer>, offset: number): number {
  let done = 0;
  while (done < bytes.length) {
    const rest = bytes.subarray(done);
    const count = Number(libc.pread(fd, rest, BigInt(rest.length), BigInt(offset + done)));
    if (count === 0) break;
    if (count > 0) {
      done += count;
    } else {
      const code = errno();
      if (code !== Errno.EINTR) return -code;
    }
  }
  return done;
}
