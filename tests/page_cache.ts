/**
 * What of a file is in the host's page cache only.
 *
 * @module
 */
import { closeFile, openFile, OpenFlag } from "../ffi/files.ts";

/** x86-64's and arm64's number of cachestat(2), since Linux 6.5. */
const CACHESTAT = 451n;
const RANGE_WORDS = 2;
const STAT_WORDS = 5;
const DIRTY = 1;
const WRITEBACK = 2;

const C = Deno.dlopen("libc.so.6", {
  syscall: { parameters: ["u64", "i32", "buffer", "buffer", "u32"], result: "i32" },
}).symbols;

/**
 * Counts pages that storage does not have yet.
 *
 * @param path The file
 * @returns How many; undefined where the kernel does not tell
 */
export function unwrittenPages(path: string): number | undefined {
  const fd = openFile(path, OpenFlag.RDONLY);
  try {
    const range = new BigUint64Array(RANGE_WORDS); // to the file's end
    const stat = new BigUint64Array(STAT_WORDS);
    if (C.syscall(CACHESTAT, fd, range, stat, 0) < 0) return undefined;
    return Number(stat[DIRTY]! + stat[WRITEBACK]!);
  } finally {
    closeFile(fd);
  }
}
