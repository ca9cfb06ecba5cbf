import assert from "node:assert/strict";
import "../tests/c_library.ts";
import { HostError } from "./errors.ts";
import { nothingOpenedSince, openFiles } from "../tests/leaks.ts";
import { unwrittenPages } from "../tests/page_cache.ts";
import { closeFile, openFile, OpenFlag, readTextFile, syncFile, writeAt } from "./files.ts";

Deno.test("a file that cannot be opened gives a HostError with its path", () => {
  for (
    const [path, flags, code] of [
      ["/no/such/file", OpenFlag.RDONLY, "ENOENT"],
      ["/", OpenFlag.RDWR, "EISDIR"],
      ["/dev/null/x", OpenFlag.RDONLY, "ENOTDIR"],
    ] as const
  ) {
    assert.throws(
      () => openFile(path, flags),
      (error) => error instanceof HostError && error.code === code && error.path === path,
    );
  }
});

Deno.test("closing a descriptor twice is an error", () => {
  const fd = openFile("/dev/null", OpenFlag.RDONLY);
  closeFile(fd);
  assert.throws(() => closeFile(fd), /close: bad file descriptor \(EBADF\)/);
});

Deno.test("descriptors are closed on exec", async () => {
  const fd = openFile("/dev/null", OpenFlag.RDONLY);
  try {
    const { stdout } = await new Deno.Command("ls", { args: ["-l", "/proc/self/fd"] }).output();
    assert.doesNotMatch(new TextDecoder().decode(stdout), new RegExp(` ${fd} -> /dev/null`));
  } finally {
    closeFile(fd);
  }
});

Deno.test("a whole file is read, whatever its size says", async () => {
  const path = await Deno.makeTempFile();
  try {
    const text = "line é\n".repeat(10_000); // several chunks, cut inside of characters
    await Deno.writeTextFile(path, text);
    assert.equal(readTextFile(path), text);
    assert.match(readTextFile("/proc/self/status"), /^Name:/); // its size is 0
    assert.throws(
      () => readTextFile("/proc/self"),
      /\/proc\/self: read: is a directory \(EISDIR\)/,
    );
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("a file that is synced has all of it written, and what has no storage is an error", async () => {
  const path = await Deno.makeTempFile();
  const before = openFiles();
  const [file, none] = [openFile(path, OpenFlag.RDWR), openFile("/dev/null", OpenFlag.RDWR)];
  try {
    writeAt(file, new Uint8Array(2 ** 20).fill(1), 0);
    await syncFile(file, path);
    assert.equal(unwrittenPages(path) ?? 0, 0);
    await assert.rejects(
      syncFile(none, "/dev/null"),
      (error) =>
        error instanceof HostError && error.syscall === "fdatasync" && error.code === "EINVAL" &&
        error.path === "/dev/null",
    );
  } finally {
    for (const fd of [file, none]) closeFile(fd);
    await Deno.remove(path);
  }
  nothingOpenedSince(before);
});
