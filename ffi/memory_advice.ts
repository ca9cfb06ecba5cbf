/**
 * Giving pages of a mapping back to the host, and having them mapped ahead of their use (madvise(2)).
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { errno, libc } from "./libc.ts";

const MADV_DONTNEED = 4;
const MADV_REMOVE = 9;
/** Since Linux 5.14. */
const MADV_POPULATE_READ = 22;

/**
 * Gives pages back: a hole is punched into the file behind a shared mapping, and of a private one the
 * own copies are thrown away. What is read there later is zero, or what the file has.
 *
 * @param address Where they are in this process, a multiple of the page size
 * @param length Bytes, a multiple of the page size
 * @returns 0, or a negative error number: -EINVAL where pages are larger and older kernels don't split
 */
export function releasePages(address: number, length: number): number {
  const punched = punchPages(address, length);
  // A private mapping's file is not to be punched (EACCES, or EINVAL where it has no file).
  if (punched !== -Errno.EACCES && punched !== -Errno.EINVAL) return punched;
  return advise(address, length, MADV_DONTNEED);
}

/**
 * Gives pages of a shared mapping back, which then are zero; those of a private one stay as they are.
 *
 * @param address Where they are in this process, a multiple of the page size
 * @param length Bytes, a multiple of the page size
 * @returns 0, or a negative error number: -EACCES where the mapping is private
 */
export function punchPages(address: number, length: number): number {
  return advise(address, length, MADV_REMOVE);
}

function advise(address: number, length: number, advice: number): number {
  const pointer = Deno.UnsafePointer.create(BigInt(address));
  return libc.madvise(pointer, BigInt(length), advice) === 0 ? 0 : -errno();
}

/**
 * Has pages mapped that are about to be read, in half the time that faults take. Where the kernel can't,
 * the faults come.
 *
 * @param address Where they are in this process, a multiple of the page size
 * @param length Bytes, a multiple of the page size
 */
export function populatePages(address: bigint, length: number): void {
  libc.madvise(Deno.UnsafePointer.create(address), BigInt(length), MADV_POPULATE_READ);
}
