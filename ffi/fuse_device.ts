/**
 * The kernel's side of a file system in user space: /dev/fuse, mount(2) of it, and its requests and
 * replies as bytes (linux/fuse.h; Documentation/filesystems/fuse/fuse.rst of the kernel).
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { HostError } from "./errors.ts";
import { openFile, OpenFlag } from "./files.ts";
import { check, cString, errno, libc } from "./libc.ts";

const DEVICE = "/dev/fuse";
/** mount(2) */
const Ms = { NOSUID: 2, NODEV: 4, NOEXEC: 8 } as const;
const S_IFDIR = 0o40000;
const MNT_DETACH = 2;
const F_GETFL = 3;
const F_SETFL = 4;

/** A page for header and arguments before a WRITE's data. */
const REQUEST_HEAD = 4096;

/** What a mount is called in /proc/self/mountinfo. */
export interface FuseMountName {
  /** Stands where a block device has its path. */
  readonly source: string;
  /** Behind `fuse.` in the file system's type. */
  readonly subtype: string;
}

/**
 * Opens the kernel's side.
 *
 * @returns A non-blocking descriptor, closed on exec; nothing comes before it is mounted
 * @throws {HostError} If this host has no FUSE
 */
export function openFuse(): number {
  try {
    return openFile(DEVICE, OpenFlag.RDWR | OpenFlag.NONBLOCK);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    throw new HostError(error.syscall, error.errno, {
      path: DEVICE,
      cause: error,
      hint: "sudo modprobe fuse; a container needs --device /dev/fuse --cap-add SYS_ADMIN",
    });
  }
}

/**
 * Mounts a file system. Only who mounts it may use it, and the modes of its files hold.
 *
 * @param fd What {@linkcode openFuse} gave
 * @param path An existing folder
 * @param name What it is called
 * @throws {HostError} If the caller may not mount there
 */
export function mountFuse(fd: number, path: string, { source, subtype }: FuseMountName): void {
  const owner = `user_id=${libc.geteuid()},group_id=${libc.getegid()}`;
  const data = `fd=${fd},rootmode=${S_IFDIR.toString(8)},${owner},default_permissions`;
  const flags = Ms.NOSUID | Ms.NODEV | Ms.NOEXEC;
  const result = libc.mount(
    cString(source),
    cString(path),
    cString(`fuse.${subtype}`),
    BigInt(flags),
    cString(data),
  );
  check(result, "mount", {
    path,
    hint: "a container needs --device /dev/fuse --cap-add SYS_ADMIN",
  });
}

/**
 * Takes a file system away from its place. What is open of it stays until it is closed.
 *
 * @param path Where it is
 * @throws {HostError} If nothing is mounted there, or the caller may not
 */
export function unmount(path: string): void {
  check(libc.umount2(cString(path), MNT_DETACH), "umount2", { path });
}

/** Has reads of a descriptor return at once where there is nothing. */
export function makeNonBlocking(fd: number): void {
  const flags = check(libc.fcntl(fd, F_GETFL, 0), "fcntl");
  check(libc.fcntl(fd, F_SETFL, flags | OpenFlag.NONBLOCK), "fcntl");
}

/** Takes requests, one after the other, in one buffer. */
export class FuseRequests {
  readonly #fd: number;
  readonly #buffer: Uint8Array<ArrayBuffer>;

  /**
   * @param fd The kernel's side
   * @param maxWrite Bytes of a WRITE's data at most, as INIT will agree on
   */
  constructor(fd: number, maxWrite: number) {
    this.#fd = fd;
    this.#buffer = new Uint8Array(REQUEST_HEAD + maxWrite);
  }

  /**
   * Takes the next request.
   *
   * @returns Its bytes, which the next one overwrites; undefined if none waits
   * @throws {HostError} ENODEV once it is unmounted
   */
  take(): Uint8Array<ArrayBuffer> | undefined {
    for (;;) {
      const count = Number(libc.read(this.#fd, this.#buffer, BigInt(this.#buffer.length)));
      if (count >= 0) return this.#buffer.subarray(0, count);
      const code = errno();
      if (code === Errno.EAGAIN) return undefined;
      // ENOENT: whoever asked was interrupted before the request could be taken.
      if (code !== Errno.EINTR && code !== Errno.ENOENT) {
        throw new HostError("read", code, { path: DEVICE });
      }
    }
  }
}

/**
 * Writes a reply or a notification, whole.
 *
 * @param fd The kernel's side
 * @param bytes `struct fuse_out_header` and what is behind it
 * @returns 0, or a negated errno: ENOENT if nobody waits for it any more, ENODEV once unmounted
 */
export function writeReply(fd: number, bytes: Uint8Array<ArrayBuffer>): number {
  return libc.write(fd, bytes, BigInt(bytes.length)) < 0n ? -errno() : 0;
}
