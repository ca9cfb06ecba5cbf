import assert, { deepEqual, equal } from "node:assert/strict";
import "../../tests/c_library.ts";
import fc from "fast-check";
import { ServedFolder } from "../../tests/fuse_client.ts";
import { nothingOpenedSince, openFiles } from "../../tests/leaks.ts";
import { TestFolder } from "../../tests/sh_line.ts";
import { Errno } from "../../ffi/errno.ts";
import { O } from "../../ffi/file_structs.ts";
import type { Json } from "../../ffi/struct.ts";
import { restoreFolder, saveFolder } from "./folder_state.ts";
import { ROOT_ID } from "./protocol.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const carried = (json: Json): Json => JSON.parse(JSON.stringify(json));

/** A folder that goes on from what another server knew of it. */
function again(path: string, json: Json, options = {}): ServedFolder {
  const served = new ServedFolder(path, options);
  restoreFolder(served.folder, carried(json));
  return served;
}

Deno.test("nodes and open files go on with another server of the folder", async () => {
  await using host = new TestFolder();
  Deno.mkdirSync(`${host.path}/d/e`, { recursive: true });
  host.write("d/e/a", "text");
  const before = openFiles();
  let json: Json;
  let ids: number[];
  let fh: number;
  {
    using served = new ServedFolder(host.path);
    const { client } = served;
    const d = client.lookup("d").nodeid;
    const e = client.lookup("e", d).nodeid;
    const a = client.lookup("a", e).nodeid;
    const made = client.create("b", 0o644, O.O_RDWR, d);
    client.write(made.fh, 0, "0123456789");
    fh = made.fh;
    ids = [d, e, a, made.entry.nodeid];
    json = saveFolder(served.folder);
  }
  {
    using served = again(host.path, json);
    const { client } = served;
    deepEqual(ids.map((id) => client.getattr(id).mode & 0o170000), [
      ...[0o040000, 0o040000, 0o100000, 0o100000],
    ]);
    equal(Number(client.getattr(ids[3]!).size), 10);
    equal(text(client.read(fh, 3, 4).bytes), "3456");
    equal(client.write(fh, 10, "ab"), 2);
    equal(Deno.readTextFileSync(`${host.path}/d/b`), "0123456789ab");
    equal(client.lookup("d").nodeid, ids[0]);
    const fresh = client.create("c", 0o644, O.O_RDWR, ids[1]);
    assert.ok(!ids.includes(fresh.entry.nodeid));
    assert.notEqual(fresh.fh, fh);
    equal(client.release(fh), 0);
  }
  {
    using served = again(host.path, json);
    deepEqual(carried(saveFolder(served.folder)), carried(json));
  }
  nothingOpenedSince(before);
});

Deno.test("what is gone, or another kind of file by now, is stale", async () => {
  await using host = new TestFolder();
  Deno.mkdirSync(`${host.path}/d`);
  for (const name of ["a", "b", "d/c"]) host.write(name, name);
  using served = new ServedFolder(host.path);
  const { client } = served;
  const d = client.lookup("d").nodeid;
  const [a, b, c] = [client.lookup("a"), client.lookup("b"), client.lookup("c", d)];
  const open = client.create("open");
  const json = saveFolder(served.folder);
  Deno.removeSync(`${host.path}/a`);
  Deno.removeSync(`${host.path}/open`);
  Deno.removeSync(`${host.path}/b`);
  Deno.mkdirSync(`${host.path}/b`);
  Deno.renameSync(`${host.path}/d`, `${host.path}/moved`);
  using other = again(host.path, json);
  for (const { nodeid } of [a, b, c]) {
    assert.throws(() => other.client.getattr(nodeid), /ESTALE|116/);
  }
  equal(other.client.read(open.fh, 0, 1).errno, Errno.EBADF);
});

Deno.test("a record from anywhere leads to nothing outside, and opens nothing to be written that is not", async () => {
  await using host = new TestFolder();
  Deno.mkdirSync(`${host.path}/in`);
  host.write("secret", "s");
  host.write("in/a", "text");
  const rows = [
    [2, ROOT_ID, "..", 0o100000, 1],
    [3, ROOT_ID, "../secret", 0o100000, 1],
    [4, ROOT_ID, "a\0b", 0o100000, 1],
    [5, 5, "a", 0o100000, 1],
    [6, 7, "a", 0o040000, 1],
    [7, 6, "a", 0o040000, 1],
    [ROOT_ID, ROOT_ID, "a", 0o100000, 1],
    [8, ROOT_ID, "a", 0o100000, 1],
    [9, ROOT_ID, "a", 0o100000, 1],
    [10, ROOT_ID, "/etc/passwd", 0o100000, 1],
  ];
  const json = { nodes: rows, handles: [[1, 8, O.O_RDWR], [2, 8, 0], [2, 8, 0], [3, 99, 0]] };
  using served = again(`${host.path}/in`, json, { readonly: true });
  deepEqual([...served.folder.inodes.all()].map(({ nodeid }) => nodeid), [ROOT_ID, 8]);
  deepEqual(served.folder.handles.all().map(({ fh, writable }) => [fh, writable]), [[2, false]]);
});

Deno.test("any JSON at all is taken for what it is worth", async () => {
  await using host = new TestFolder();
  host.write("a", "text");
  const row = fc.array(fc.oneof(fc.nat(5), fc.constantFrom("a", "..", ""), fc.jsonValue()));
  const table = fc.array(row, { maxLength: 5 });
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.record({ nodes: table, handles: table })), (json) => {
      using served = new ServedFolder(host.path);
      restoreFolder(served.folder, json as Json);
      assert.ok(served.client.lookup("a").nodeid > ROOT_ID);
    }),
    { numRuns: 100 },
  );
});
