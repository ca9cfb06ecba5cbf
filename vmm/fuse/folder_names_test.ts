import assert, { deepEqual, equal } from "node:assert/strict";
import "../../tests/c_library.ts";
import { filled, ServedFolder } from "../../tests/fuse_client.ts";
import { TestFolder } from "../../tests/sh_line.ts";
import { Errno } from "../../ffi/errno.ts";
import { S } from "../../ffi/file_structs.ts";
import {
  fuse_entry_out,
  fuse_link_in,
  fuse_mkdir_in,
  fuse_mknod_in,
  fuse_rename2_in,
  fuse_rename_in,
} from "./messages.ts";
import { Opcode, ROOT_ID } from "./protocol.ts";

Deno.test("a file is found by its name, with its attributes, as one node however often", async () => {
  await using host = new TestFolder();
  host.write("a", "hello");
  using served = new ServedFolder(host.path);
  const { client } = served;
  const found = client.lookup("a");
  const { size, ino, mode, mtime } = Deno.statSync(`${host.path}/a`);
  equal(Number(found.attr.size), size);
  equal(Number(found.attr.ino), ino);
  equal(found.attr.mode, mode);
  equal(Number(found.attr.mtime), Math.floor(mtime!.getTime() / 1000));
  equal(client.lookup("a").nodeid, found.nodeid);
  equal(client.lookupErrno("b"), Errno.ENOENT);
  Deno.linkSync(`${host.path}/a`, `${host.path}/b`);
  equal(client.lookup("b").nodeid, found.nodeid);
  equal(client.getattr(found.nodeid).nlink, 2);
});

Deno.test("a node lives until all its lookups are forgotten, with the folders above it", async () => {
  await using host = new TestFolder();
  Deno.mkdirSync(`${host.path}/d/e`, { recursive: true });
  host.write("d/e/f");
  using served = new ServedFolder(host.path);
  const { client, folder } = served;
  const [d, e, f] = ["d", "d/e", "d/e/f"].map((path) => client.walk(path)) as [
    number,
    number,
    number,
  ];
  equal(folder.inodes.size, 4);
  client.forget(d, 3);
  client.forget(e, 2);
  equal(folder.inodes.size, 4, "the file's folders stay");
  client.forget(f, 1);
  equal(folder.inodes.size, 1);
  equal(folder.files.open, 0);
  equal(client.send(Opcode.GETATTR, f, [new Uint8Array(16)]).errno, Errno.ESTALE);
  client.forget(ROOT_ID, 2 ** 40);
  equal(client.getattr(ROOT_ID).mode & S.S_IFMT, S.S_IFDIR);
});

Deno.test("BATCH_FORGET forgets as many as there are, whatever it says", async () => {
  await using host = new TestFolder();
  for (const name of ["a", "b", "c"]) host.write(name);
  using served = new ServedFolder(host.path);
  const { client, folder } = served;
  const ones = ["a", "b"].flatMap((name) => [BigInt(client.lookup(name).nodeid), 1n]);
  client.lookup("c");
  const body = new Uint8Array(new BigUint64Array([0xffff_ffffn, ...ones]).buffer);
  client.tell(Opcode.BATCH_FORGET, 0, body);
  equal(folder.inodes.size, 2);
});

Deno.test("what is made is there, with the permissions that were asked for", async () => {
  await using host = new TestFolder();
  using served = new ServedFolder(host.path);
  const { client } = served;
  const made = (name: string) => Deno.lstatSync(`${host.path}/${name}`);
  const make = (opcode: number, parts: Parameters<typeof client.send>[2]) => {
    const { errno, answer } = client.send(opcode, ROOT_ID, parts);
    equal(errno, 0);
    return new fuse_entry_out(answer);
  };
  // Wider than the usual umask lets be.
  const mkdir = make(Opcode.MKDIR, [filled(fuse_mkdir_in, { mode: 0o777 }), "d"]);
  equal(mkdir.attr.mode, S.S_IFDIR | 0o777);
  equal(made("d").mode! & 0o7777, 0o777);
  make(Opcode.MKNOD, [filled(fuse_mknod_in, { mode: S.S_IFREG | 0o666 }), "f"]);
  equal(made("f").mode, S.S_IFREG | 0o666);
  make(Opcode.MKNOD, [filled(fuse_mknod_in, { mode: S.S_IFIFO | 0o600 }), "p"]);
  assert.ok(made("p").isFifo);
  const socket = make(Opcode.MKNOD, [filled(fuse_mknod_in, { mode: S.S_IFSOCK | 0o777 }), "s"]);
  equal(socket.attr.mode, S.S_IFSOCK | 0o777);
  assert.ok(made("s").isSocket);
  const link = make(Opcode.SYMLINK, ["l", "/etc/passwd"]);
  equal(Deno.readLinkSync(`${host.path}/l`), "/etc/passwd");
  equal(new TextDecoder().decode(client.send(Opcode.READLINK, link.nodeid).bytes), "/etc/passwd");
  const file = client.lookup("f");
  const hard = make(Opcode.LINK, [filled(fuse_link_in, { oldnodeid: file.nodeid }), "h"]);
  equal(hard.nodeid, file.nodeid);
  make(Opcode.LINK, [filled(fuse_link_in, { oldnodeid: link.nodeid }), "l2"]);
  equal(Deno.readLinkSync(`${host.path}/l2`), "/etc/passwd", "the link itself, not what it names");
});

Deno.test("no devices, no set-user-ID come from a client", async () => {
  await using host = new TestFolder();
  using served = new ServedFolder(host.path);
  const { client } = served;
  for (const type of [S.S_IFCHR, S.S_IFBLK]) {
    const args = filled(fuse_mknod_in, { mode: type | 0o666, rdev: 0x103 });
    equal(client.send(Opcode.MKNOD, ROOT_ID, [args, "x"]).errno, Errno.EPERM);
  }
  client.send(Opcode.MKNOD, ROOT_ID, [filled(fuse_mknod_in, { mode: 0o106755 }), "s"]);
  client.create("c", 0o6755);
  equal(Deno.statSync(`${host.path}/s`).mode! & 0o7777, 0o755);
  equal(Deno.statSync(`${host.path}/c`).mode! & 0o7777, 0o755);
  deepEqual([...Deno.readDirSync(host.path)].map(({ name }) => name).sort(), ["c", "s"]);
});

Deno.test("what is removed is gone, and what is moved keeps its node", async () => {
  await using host = new TestFolder();
  for (const name of ["a", "b", "gone"]) host.write(name, name);
  Deno.mkdirSync(`${host.path}/d`);
  Deno.mkdirSync(`${host.path}/empty`);
  using served = new ServedFolder(host.path, { mostDescriptors: 16 });
  const { client, folder } = served;
  const [a, b, d] = ["a", "b", "d"].map((name) => client.lookup(name).nodeid) as number[];
  equal(client.send(Opcode.UNLINK, ROOT_ID, ["gone"]).errno, 0);
  equal(client.send(Opcode.UNLINK, ROOT_ID, ["gone"]).errno, Errno.ENOENT);
  equal(client.send(Opcode.RMDIR, ROOT_ID, ["empty"]).errno, 0);
  equal(client.send(Opcode.UNLINK, ROOT_ID, ["d"]).errno, Errno.EISDIR);
  const rename = filled(fuse_rename_in, { newdir: d! });
  equal(client.send(Opcode.RENAME, ROOT_ID, [rename, "a", "moved"]).errno, 0);
  folder.files.closeHalf();
  const rename2 = (flags: number) => filled(fuse_rename2_in, { newdir: ROOT_ID, flags });
  equal(client.send(Opcode.RENAME2, d!, [rename2(1), "moved", "b"]).errno, Errno.EEXIST);
  equal(client.send(Opcode.RENAME2, d!, [rename2(2), "moved", "b"]).errno, 0);
  equal(client.send(Opcode.RENAME2, d!, [rename2(4), "moved", "b"]).errno, Errno.EINVAL);
  equal(Deno.readTextFileSync(`${host.path}/b`), "a");
  equal(client.lookup("b").nodeid, a);
  equal(client.lookup("moved", d).nodeid, b);
  for (const [node, text] of [[a, "a"], [b, "b"]] as const) {
    const fh = client.open(node!);
    equal(new TextDecoder().decode(client.read(fh, 0, 10).bytes), text);
  }
});

Deno.test("a read-only folder is not changed by any operation", async () => {
  await using host = new TestFolder();
  host.write("a", "text");
  using served = new ServedFolder(host.path, { readonly: true });
  const { client } = served;
  const node = client.lookup("a").nodeid;
  const fh = client.open(node);
  for (
    const [opcode, nodeid, ...parts] of [
      [Opcode.MKDIR, ROOT_ID, new fuse_mkdir_in(), "d"],
      [Opcode.MKNOD, ROOT_ID, new fuse_mknod_in(), "f"],
      [Opcode.SYMLINK, ROOT_ID, "l", "a"],
      [Opcode.LINK, ROOT_ID, filled(fuse_link_in, { oldnodeid: node }), "h"],
      [Opcode.UNLINK, ROOT_ID, "a"],
      [Opcode.RMDIR, ROOT_ID, "a"],
      [Opcode.RENAME, ROOT_ID, filled(fuse_rename_in, { newdir: ROOT_ID }), "a", "b"],
      [Opcode.RENAME2, ROOT_ID, filled(fuse_rename2_in, { newdir: ROOT_ID }), "a", "b"],
      [Opcode.CREATE, ROOT_ID, new Uint8Array(16), "c"],
      [Opcode.SETATTR, node, new Uint8Array(88)],
      [Opcode.FALLOCATE, node, new Uint8Array(32)],
      [Opcode.OPEN, node, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)],
      [Opcode.OPEN, node, Uint8Array.of(0, 2, 0, 0, 0, 0, 0, 0)], // O_TRUNC
      [Opcode.ACCESS, node, Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0)],
    ] as const
  ) {
    equal(client.send(opcode, nodeid, parts).errno, Errno.EROFS, `operation ${opcode}`);
  }
  equal(client.write(fh, 0, "x"), -Errno.EROFS);
  equal(Deno.readTextFileSync(`${host.path}/a`), "text");
  deepEqual([...Deno.readDirSync(host.path)].map(({ name }) => name), ["a"]);
});
