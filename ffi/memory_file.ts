/**
 * Files that are in memory only (memfd_create(2)).
 *
 * @module
 */
import { closeFile } from "./files.ts";
import { check, cString, libc } from "./libc.ts";

const MFD_CLOEXEC = 1;
const SEEK_SET = 0;

/**
 * Makes one.
 *
 * @param name Its name in /proc
 * @param bytes What is in it
 * @returns A descriptor at its start, closed on exec
 * @throws {HostError} If there is no room
 */
export function memoryFile(name: string, bytes: Uint8Array<ArrayBuffer>): number {
  const fd = check(libc.memfd_create(cString(name), MFD_CLOEXEC), "memfd_create");
  try {
    for (let done = 0; done < bytes.length;) {
      const rest = bytes.subarray(done);
      done += Number(check(libc.write(fd, rest, BigInt(rest.length)), "write"));
    }
    check(libc.lseek(fd, 0n, SEEK_SET), "lseek");
    return fd;
  } catch (error) {
    closeFile(fd);
    throw error;
  }
}
