import "../tests/c_library.ts";
import assert from "node:assert/strict";
import { closeFile, openFile, OpenFlag } from "../ffi/files.ts";
import type { Json } from "../ffi/struct.ts";
import { TestFolder } from "../tests/sh_line.ts";
import { changedBacking, fileBacking, placeBacking } from "./backing.ts";

function looked<T>(path: string, look: (fd: number, path: string) => T): T {
  const fd = openFile(path, OpenFlag.RDONLY);
  try {
    return look(fd, path);
  } finally {
    closeFile(fd);
  }
}

/** As a stream has it. */
const through = (value: unknown) => JSON.parse(JSON.stringify(value)) as Json;

Deno.test("a file is known again, and not once it was written, or another has its name", async () => {
  await using folder = new TestFolder();
  const path = `${folder.path}/a`;
  Deno.writeTextFileSync(path, "some text");
  const was = through([looked(path, fileBacking)]);
  assert.equal(changedBacking(was, [looked(path, fileBacking)]), undefined);
  Deno.renameSync(path, `${path}2`);
  assert.equal(changedBacking(was, [looked(`${path}2`, fileBacking)]), undefined);
  Deno.copyFileSync(`${path}2`, path);
  assert.deepEqual(changedBacking(was, [looked(path, fileBacking)]), {
    path,
    why: "it is another one",
  });
  Deno.writeTextFileSync(`${path}2`, "more", { append: true });
  assert.equal(changedBacking(was, [looked(`${path}2`, fileBacking)])!.why, "its size is another");
  Deno.writeTextFileSync(`${path}2`, "text some");
  Deno.utimeSync(`${path}2`, 1, 1); // two writes may be of one tick of the file system's clock
  assert.match(changedBacking(was, [looked(`${path}2`, fileBacking)])!.why, /written since/);
});

Deno.test("a folder is known again whatever is in it", async () => {
  await using folder = new TestFolder();
  const path = `${folder.path}/a`;
  Deno.mkdirSync(path);
  const was = through([looked(path, placeBacking)]);
  Deno.writeTextFileSync(`${path}/file`, "");
  assert.equal(changedBacking(was, [looked(path, placeBacking)]), undefined);
  assert.notEqual(changedBacking(was, [looked(folder.path, placeBacking)]), undefined);
});

Deno.test("what a record says that can't be, or does not say, is not what there is", () => {
  const is = [{ path: "/a", inode: "0x1", size: 5 }];
  const wrong: (Json | undefined)[] = [
    ...[undefined, null, 5, "x", {}, [], [null], [[]], ["/a"], [{}]],
    [{ path: "/a", inode: 1, size: 5 }],
    [{ path: "/a", inode: "0x1", size: "5" }],
    JSON.parse('[{"__proto__":{"inode":"0x1","size":5}}]'),
    [{ ...is[0]! }, { path: "/overlay" }],
    [{ ...is[0]! }, null],
  ];
  for (const was of wrong) assert.ok(changedBacking(was, is) !== undefined, JSON.stringify(was));
  assert.equal(changedBacking([{ ...is[0]!, later: 1 }], is), undefined);
  assert.equal(changedBacking(undefined, []), undefined);
});
