/**
 * Memory mappings and memfds.
 *
 * @module
 */
import { HostError } from "./errors.ts";
import { check, cString, errno, libc } from "./libc.ts";
import { ignoreFileSizeSignal } from "./signals.ts";

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;
const MAP_NORESERVE = 0x4000;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;
const MADV_HUGEPAGE = 14;
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_HUGETLB = 4;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;
/** Since Linux 5.1. */
const F_SEAL_FUTURE_WRITE = 0x10;

/** How to map. */
export interface MapOptions {
  /** Default true. */
  writable?: boolean;
  /** Copy on write: what is written here stays here. Default false. */
  private?: boolean;
  /** Where in the file to start, a multiple of the page size. Default 0. */
  offset?: number;
  /**
   * Have the kernel promise the pages now. Huge pages need it: where none is left when one is first
   * touched, that is a SIGBUS. Default false.
   */
  reserve?: boolean;
}

/** A mapping of a file or device into this process. */
export class Mapping implements Disposable {
  /** Where it lies in this process. */
  readonly address: bigint;
  /** Its length in bytes. */
  readonly size: number;
  #buffer: ArrayBuffer | undefined;

  /**
   * @param fd An open file
   * @param size Bytes to map
   * @param options How
   * @throws {HostError} If mmap fails
   */
  constructor(fd: number, size: number, options: MapOptions = {}) {
    const protection = options.writable === false ? PROT_READ : PROT_READ | PROT_WRITE;
    const flags = (options.private ? MAP_PRIVATE : MAP_SHARED) |
      (options.reserve ? 0 : MAP_NORESERVE);
    const pointer = libc.mmap(
      0n,
      BigInt(size),
      protection,
      flags,
      fd,
      BigInt(options.offset ?? 0),
    );
    const address = BigInt(Deno.UnsafePointer.value(pointer));
    if (address === MAP_FAILED || pointer === null) throw new HostError("mmap", errno());
    this.address = address;
    this.size = size;
  }

  /** The mapped bytes; one view a thread, made once, since each counts as V8 external memory. */
  get buffer(): ArrayBuffer {
    return this.#buffer ??= viewMemory(this.address, this.size);
  }

  /** Asks for transparent huge pages; a kernel without them says no and nothing is lost. */
  adviseHugePages(): boolean {
    const pointer = Deno.UnsafePointer.create(this.address);
    return libc.madvise(pointer, BigInt(this.size), MADV_HUGEPAGE) === 0;
  }

  /** Unmaps. Views that this object made read as detached from then on; other threads' must be gone. */
  [Symbol.dispose](): void {
    this.#buffer?.transfer(0);
    this.#buffer = undefined;
    libc.munmap(Deno.UnsafePointer.create(this.address), BigInt(this.size));
  }
}

/**
 * Puts a file behind memory of this process that is mapped already, at the same place.
 *
 * @param address Where it lies, a multiple of the page size
 * @param size Bytes
 * @param fd The file
 * @param options How to map it; it is writable
 * @throws {HostError} If mmap fails; what was there is there still
 */
export function remapMemory(
  address: bigint,
  size: number,
  fd: number,
  options: Pick<MapOptions, "private" | "offset">,
): void {
  const pointer = libc.mmap(
    address,
    BigInt(size),
    PROT_READ | PROT_WRITE,
    (options.private ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED | MAP_NORESERVE,
    fd,
    BigInt(options.offset ?? 0),
  );
  if (BigInt(Deno.UnsafePointer.value(pointer)) === MAP_FAILED) {
    throw new HostError("mmap", errno());
  }
}

/**
 * Opens memory of this process that another thread mapped. Detach it with `transfer(0)` before the
 * owner unmaps: a later access would be a SIGSEGV.
 *
 * @param address Where it lies
 * @param size Bytes
 * @returns A live view
 */
export function viewMemory(address: bigint, size: number): ArrayBuffer {
  return Deno.UnsafePointerView.getArrayBuffer(Deno.UnsafePointer.create(address)!, size);
}

/**
 * Makes an anonymous file.
 *
 * @param name What /proc/PID/maps shows
 * @param size Its size in bytes
 * @param options `hugePages` takes them from the reserved pool (MFD_HUGETLB)
 * @returns A file descriptor
 * @throws {HostError} If there is not that much memory
 */
export function createMemfd(
  name: string,
  size: number,
  options: { hugePages?: boolean } = {},
): number {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | (options.hugePages ? MFD_HUGETLB : 0);
  const fd = check(libc.memfd_create(cString(name), flags), "memfd_create");
  ignoreFileSizeSignal();
  if (libc.ftruncate(fd, BigInt(size)) < 0) {
    const failure = new HostError("ftruncate", errno());
    libc.close(fd);
    throw failure;
  }
  return fd;
}

/**
 * Has an anonymous file stay as it is, but for mappings that are there already: whoever else has it open can
 * write it no more, and see by {@linkcode isSealed} that it was given up. A kernel that can't leaves it.
 *
 * @param fd What {@linkcode createMemfd} gave
 */
export function sealMemfd(fd: number): void {
  libc.fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
}

/**
 * Whether {@linkcode sealMemfd} was called on a file, by whichever process.
 *
 * @param fd An open file
 */
export function isSealed(fd: number): boolean {
  const seals = libc.fcntl(fd, F_GET_SEALS, 0);
  return seals >= 0 && (seals & F_SEAL_FUTURE_WRITE) !== 0;
}

/**
 * Gives back what an anonymous file has, as far as nobody has it mapped or open. Its number stays taken, by
 * an empty file: who was told of it finds one that is sealed, and none that is another's.
 *
 * @param fd What {@linkcode createMemfd} gave
 * @throws {HostError} If there is no more room for files
 */
export function giveUpMemfd(fd: number): void {
  const empty = createMemfd("hvsh-given-up", 0);
  try {
    sealMemfd(empty);
    check(libc.dup2(empty, fd), "dup2");
    libc.fcntl(fd, F_SETFD, FD_CLOEXEC);
  } finally {
    libc.close(empty);
  }
}
