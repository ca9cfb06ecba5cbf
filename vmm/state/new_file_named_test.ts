/** New files where the file system knows none without a name, and lets no two change places. */
import "../../tests/c_library.ts";
import assert from "node:assert/strict";
import { DiskOpenFlag } from "../../ffi/disk_file.ts";
import { RENAME } from "../../ffi/file_structs.ts";
import { writeAt } from "../../ffi/files.ts";
import { cString, libc } from "../../ffi/libc.ts";
import { NewFile } from "./new_file.ts";

const WRONLY = 1;
const NO_COMMAND = -1;

const text = (path: Uint8Array) => new TextDecoder().decode(path.slice(0, -1));

// The C library's symbols are opened on first use: those of this test are what such a file system says.
const { open } = libc;
Object.defineProperty(libc, "open", {
  value: (path: Uint8Array<ArrayBuffer>, flags: number, mode: number) =>
    (flags & DiskOpenFlag.TMPFILE) === DiskOpenFlag.TMPFILE
      ? open(cString("/"), WRONLY, 0) // fails with EISDIR
      : open(path, flags, mode),
});
Object.defineProperty(libc, "renameat2", {
  value: (_: number, from: Uint8Array, __: number, to: Uint8Array, flags: number) => {
    if (flags === RENAME.RENAME_EXCHANGE) return libc.fcntl(0, NO_COMMAND, 0); // fails with EINVAL
    Deno.renameSync(text(from), text(to));
    return 0;
  },
});

Deno.test("a file is beside its place from the start, and is put there and back all the same", () => {
  const folder = Deno.makeTempDirSync();
  const path = `${folder}/file`;
  const names = () => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  for (const old of [undefined, "old"]) {
    for (const [place, keep] of [[false, false], [true, false], [true, true]]) {
      if (old !== undefined) Deno.writeTextFileSync(path, old);
      const before = names();
      {
        using file = new NewFile(path);
        writeAt(file.fd, new TextEncoder().encode("new"), 0);
        assert.deepEqual(names(), [...before, `file.${Deno.pid}.new`]);
        if (place) file.place();
        if (keep) file.keep();
      }
      if (!keep) assert.deepEqual(names(), before);
      if (keep || old !== undefined) {
        assert.deepEqual([names(), Deno.readTextFileSync(path)], [["file"], keep ? "new" : old]);
      }
    }
    Deno.removeSync(path);
  }
  Deno.removeSync(folder);
});
