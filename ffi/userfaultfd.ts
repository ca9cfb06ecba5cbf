/**
 * userfaultfd(2): whoever touches a page of a mapping that is not there yet waits, the kernel itself
 * among them, until the reader of this descriptor gives the page (linux/userfaultfd.h).
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { HostError } from "./errors.ts";
import { openFile, OpenFlag } from "./files.ts";
import { check, errno, libc } from "./libc.ts";
import { struct, u64 } from "./struct.ts";

/** x86-64's number; arm64 has 282. */
const SYS_userfaultfd = Deno.build.arch === "x86_64" ? 323n : 282n;
const O_CLOEXEC_NONBLOCK = 0o2000000 | 0o4000;
const UFFD_API = 0xaan;
const UFFD_FEATURE_MISSING_SHMEM = 1n << 5n;
const UFFDIO_REGISTER_MODE_MISSING = 1n;
const UFFD_EVENT_PAGEFAULT = 0x12;
/** `struct uffd_msg`: event u8 at 0; of a page fault flags at 8 and the address at 16. */
const MESSAGE_BYTES = 32;
const MESSAGE_ADDRESS = 16;
const MOST_MESSAGES = 64;
const PAGE = 4096;

/** Of /dev/userfaultfd: _IO(0xAA, 0x00). */
const USERFAULTFD_IOC_NEW = 0xaa00;

/** The descriptor's ioctls, without their `UFFDIO_`. */
export const UserfaultIoctl = {
  API: 0xc018_aa3f,
  REGISTER: 0xc020_aa00,
  UNREGISTER: 0x8010_aa01,
  WAKE: 0x8010_aa02,
  COPY: 0xc028_aa03,
  ZEROPAGE: 0xc020_aa04,
} as const;

/** `struct uffdio_api` */
export const uffdio_api = struct("uffdio_api", { api: u64, features: u64, ioctls: u64 });
/** `struct uffdio_range` */
export const uffdio_range = struct("uffdio_range", { start: u64, len: u64 });
/** `struct uffdio_register` */
export const uffdio_register = struct("uffdio_register", {
  range: uffdio_range,
  mode: u64,
  ioctls: u64,
});
/** `struct uffdio_copy`; `copy` is how many bytes were, or a negated errno. */
export const uffdio_copy = struct("uffdio_copy", {
  dst: u64,
  src: u64,
  len: u64,
  mode: u64,
  copy: u64,
});
/** `struct uffdio_zeropage`; `zeropage` as {@linkcode uffdio_copy} has `copy`. */
export const uffdio_zeropage = struct("uffdio_zeropage", {
  range: uffdio_range,
  mode: u64,
  zeropage: u64,
});

/**
 * Opens one that serves the kernel's own faults too, as KVM's are: /dev/userfaultfd's owner may, and
 * where there is none whoever has CAP_SYS_PTRACE, or all if the host says so.
 */
function open(): number {
  let device: number | undefined;
  try {
    device = openFile("/dev/userfaultfd", OpenFlag.RDWR);
  } catch (error) { // Linux before 6.1 has none, and others are not for everybody
    if (!(error instanceof HostError)) throw error;
  }
  if (device !== undefined) {
    const fd = libc.ioctl(device, USERFAULTFD_IOC_NEW, BigInt(O_CLOEXEC_NONBLOCK));
    const code = errno();
    libc.close(device);
    if (fd >= 0) return fd;
    throw new HostError("USERFAULTFD_IOC_NEW", code, { path: "/dev/userfaultfd" });
  }
  const fd = libc.userfaultfd(SYS_userfaultfd, O_CLOEXEC_NONBLOCK);
  if (fd >= 0) return fd;
  const code = errno();
  throw new HostError("userfaultfd", code, {
    ...(code === Errno.EPERM
      ? {
        hint: "sudo setfacl -m u:$USER:rw /dev/userfaultfd, or before Linux 6.1 " +
          "sudo sysctl vm.unprivileged_userfaultfd=1",
      }
      : {}),
  });
}

/** Memory whose pages come when they do. */
export class Userfaultfd implements Disposable {
  /** Its descriptor, non-blocking: readable when somebody waits for a page. */
  readonly fd: number;
  readonly #messages = new DataView(new ArrayBuffer(MESSAGE_BYTES * MOST_MESSAGES));
  readonly #copy = new uffdio_copy();
  readonly #zero = new uffdio_zeropage();
  readonly #range = new uffdio_range();

  /** @param fd One that another thread of this process opened, and closes */
  constructor(fd: number) {
    this.fd = fd;
  }

  /**
   * Opens one.
   *
   * @throws {HostError} If this user may not serve KVM's faults, or the kernel can't
   */
  static open(): Userfaultfd {
    const opened = new Userfaultfd(open());
    try {
      const api = new uffdio_api();
      api.api = UFFD_API;
      api.features = UFFD_FEATURE_MISSING_SHMEM;
      check(libc.ioctl_pointer(opened.fd, UserfaultIoctl.API, api.view), "UFFDIO_API");
      return opened;
    } catch (error) {
      opened[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * From now on whoever touches a page that is not there waits for it.
   *
   * @param address Where the memory lies in this process: a mapping of a memfd
   * @param size Bytes
   * @throws {HostError} If the mapping is of another kind
   */
  register(address: bigint, size: number): void {
    const wanted = new uffdio_register();
    wanted.range.start = address;
    wanted.range.len = BigInt(size);
    wanted.mode = UFFDIO_REGISTER_MODE_MISSING;
    check(libc.ioctl_pointer(this.fd, UserfaultIoctl.REGISTER, wanted.view), "UFFDIO_REGISTER");
  }

  /**
   * Ends that: who waits goes on, and pages that are not there are zero.
   *
   * @param address As given to {@linkcode register}
   * @param size Bytes
   * @throws {HostError} If it is not registered
   */
  unregister(address: bigint, size: number): void {
    const range = this.#range;
    range.start = address;
    range.len = BigInt(size);
    check(libc.ioctl_pointer(this.fd, UserfaultIoctl.UNREGISTER, range.view), "UFFDIO_UNREGISTER");
  }

  /**
   * Gives pages, each whole and at once; who waits for one goes on. One that is there already stays.
   *
   * @param address Where they belong, a multiple of the page size
   * @param source Where their bytes lie in this process
   * @param size Bytes, a multiple of the page size
   * @throws {HostError} If the host has no memory left, or nothing is registered there any more
   */
  copy(address: bigint, source: bigint, size: number): void {
    const order = this.#copy;
    for (let at = 0; at < size;) {
      order.dst = address + BigInt(at);
      order.src = source + BigInt(at);
      order.len = BigInt(size - at);
      const result = libc.ioctl_pointer(this.fd, UserfaultIoctl.COPY, order.view);
      at += result === 0 ? size - at : this.#done(order.dst, order.copy, "UFFDIO_COPY");
    }
  }

  /**
   * Gives pages of zeros, as {@linkcode copy} does.
   *
   * @param address Where they belong
   * @param size Bytes
   * @throws {HostError} If the host has no memory left, or nothing is registered there any more
   */
  zero(address: bigint, size: number): void {
    const order = this.#zero;
    for (let at = 0; at < size;) {
      order.range.start = address + BigInt(at);
      order.range.len = BigInt(size - at);
      const result = libc.ioctl_pointer(this.fd, UserfaultIoctl.ZEROPAGE, order.view);
      const { start } = order.range;
      at += result === 0 ? size - at : this.#done(start, order.zeropage, "UFFDIO_ZEROPAGE");
    }
  }

  /** How far a call came that stopped early: what it did is said with EAGAIN, EEXIST is the first page's. */
  #done(address: bigint, given: bigint, what: string): number {
    const code = errno();
    if (code === Errno.EAGAIN) return Math.max(0, Number(BigInt.asIntN(64, given)));
    if (code !== Errno.EEXIST) throw new HostError(what, code);
    // Another mapping has brought the page, which wakes nobody.
    const range = this.#range;
    range.start = address;
    range.len = BigInt(PAGE);
    check(libc.ioctl_pointer(this.fd, UserfaultIoctl.WAKE, range.view), "UFFDIO_WAKE");
    return PAGE;
  }

  /**
   * Takes what waits, without waiting itself.
   *
   * @param fault Called with the address of each page that somebody waits for
   * @throws {HostError} If the descriptor can't be read
   */
  faults(fault: (address: bigint) => void): void {
    for (;;) {
      const { byteLength } = this.#messages;
      const count = Number(libc.read(this.fd, this.#messages as never, BigInt(byteLength)));
      if (count < 0) {
        const code = errno();
        if (code === Errno.EAGAIN) return;
        if (code !== Errno.EINTR) throw new HostError("read", code, { path: "userfaultfd" });
      }
      for (let at = 0; at < count; at += MESSAGE_BYTES) {
        if (this.#messages.getUint8(at) !== UFFD_EVENT_PAGEFAULT) continue;
        fault(this.#messages.getBigUint64(at + MESSAGE_ADDRESS, true));
      }
      if (count < byteLength) return;
    }
  }

  /** Closes it: what is registered still is no more, as after {@linkcode unregister}. */
  [Symbol.dispose](): void {
    libc.close(this.fd);
  }
}
