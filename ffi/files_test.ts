import assert from "node:assert/strict";
import "../tests/c_library.ts";
import { HostError } from "./errors.ts";
import { closeFile, openFile, OpenFlag, readTextFile } from "./files.ts";

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
