import "../tests/c_library.ts";
import assert from "node:assert/strict";
import { copyRange, diskFileStatus, lockDiskFile, readAll, writeAll } from "./disk_file.ts";
import { Errno } from "./errno.ts";
import { closeFile, openFile, OpenFlag } from "./files.ts";

function withFiles(count: number, work: (fds: number[], paths: string[]) => void): void {
  const paths = Array.from({ length: count }, () => Deno.makeTempFileSync());
  const fds = paths.map((path) => openFile(path, OpenFlag.RDWR));
  try {
    work(fds, paths);
  } finally {
    fds.forEach(closeFile);
    for (const path of paths) Deno.removeSync(path);
  }
}

Deno.test("a file's kind, size and time", () => {
  withFiles(1, ([fd], [path]) => {
    Deno.writeTextFileSync(path!, "12345");
    Deno.utimeSync(path!, 0, 1234.5);
    const status = diskFileStatus(fd!, path!);
    assert.deepEqual([status.kind, status.size, status.blockSize], ["file", 5, 512]);
    assert.equal(status.modified, 1_234_500_000_000n);
    assert.equal(status.directAlignment.offset % 512, 0);
  });
  const fd = openFile("/dev/null", OpenFlag.RDONLY);
  assert.equal(diskFileStatus(fd, "/dev/null").kind, "other");
  closeFile(fd);
  assert.throws(() => diskFileStatus(fd, "gone"), { code: "EBADF", path: "gone" });
});

Deno.test("locks: readers share, a writer is alone, and each opening has its own", () => {
  withFiles(1, ([a], [path]) => {
    const b = openFile(path!, OpenFlag.RDWR);
    const c = openFile(path!, OpenFlag.RDONLY);
    assert.equal(lockDiskFile(b, false, path!), true);
    assert.equal(lockDiskFile(c, false, path!), true);
    assert.equal(lockDiskFile(a!, true, path!), false);
    closeFile(b);
    closeFile(c);
    assert.equal(lockDiskFile(a!, true, path!), true);
  });
});

Deno.test("ranges are copied between files, and an early end is an EIO", () => {
  withFiles(2, ([from, to], [source, target]) => {
    const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => i * 7);
    Deno.writeFileSync(source!, bytes);
    assert.equal(copyRange(from!, 1000, to!, 5, 150_000), 0);
    assert.deepEqual(Deno.readFileSync(target!).slice(5), bytes.slice(1000, 151_000));
    assert.equal(copyRange(from!, 199_000, to!, 0, 2000), Errno.EIO);
    const memory = openFile("/proc/self/cmdline", OpenFlag.RDONLY); // has no copy_file_range
    assert.equal(copyRange(memory, 0, to!, 0, 4), 0);
    closeFile(memory);
    assert.deepEqual(
      Deno.readFileSync(target!).slice(0, 4),
      Deno.readFileSync("/proc/self/cmdline").slice(0, 4),
    );
  });
});

Deno.test("whole reads end at the file's end, failures are errnos", () => {
  withFiles(1, ([fd]) => {
    assert.equal(writeAll(fd!, Uint8Array.of(1, 2, 3, 4), 3, 10), 0);
    const bytes = new Uint8Array(8);
    assert.equal(readAll(fd!, bytes, 9), 4);
    assert.deepEqual(bytes.slice(0, 4), Uint8Array.of(0, 1, 2, 3));
  });
  assert.equal(readAll(-1, new Uint8Array(1), 0), -Errno.EBADF);
  assert.equal(writeAll(-1, new Uint8Array(1), 1, 0), Errno.EBADF);
});
