import assert from "node:assert/strict";
import { ROOT_ID } from "../../vmm/fuse/protocol.ts";
import { InodeTable } from "./inode_table.ts";
import { FileError, type FolderNode } from "./node.ts";
import { textFile } from "./text_file.ts";

const folder = (): FolderNode => ({
  kind: "folder",
  mode: 0o500,
  find: () => undefined,
  list: () => [],
});

Deno.test("a name keeps its number until it is forgotten as often as it was told", () => {
  const table = new InodeTable(folder());
  const id = table.enter(ROOT_ID, "vms", folder());
  const again = folder();
  assert.equal(table.enter(ROOT_ID, "vms", again), id);
  assert.equal(table.get(id), again);
  assert.notEqual(table.enter(id, "vms", folder()), id);
  table.forget(id, 1);
  assert.equal(table.get(id), again);
  table.forget(id, 1);
  assert.throws(() => table.get(id), FileError);
  assert.notEqual(table.enter(ROOT_ID, "vms", folder()), id);
});

Deno.test("a file in a folder's place has another number, and the root is never forgotten", () => {
  const root = folder();
  const table = new InodeTable(root);
  const first = table.enter(ROOT_ID, "a", folder());
  const second = table.enter(ROOT_ID, "a", textFile({}));
  assert.notEqual(first, second);
  table.forget(first, 1);
  assert.equal(table.enter(ROOT_ID, "a", textFile({})), second);
  table.forget(ROOT_ID, 1);
  assert.equal(table.get(ROOT_ID), root);
  table.forget(second, 2);
  assert.equal(table.size, 1);
});
