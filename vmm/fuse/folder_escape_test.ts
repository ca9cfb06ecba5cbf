/**
 * Ways out of a shared folder, which must all be closed.
 */
import assert, { deepEqual, equal } from "node:assert/strict";
import "../../tests/c_library.ts";
import { filled, ServedFolder } from "../../tests/fuse_client.ts";
import { TestFolder } from "../../tests/sh_line.ts";
import { Errno } from "../../ffi/errno.ts";
import { O, S } from "../../ffi/file_structs.ts";
import { fuse_attr_out, fuse_create_in, fuse_getattr_in, fuse_open_in } from "./messages.ts";
import { fuse_link_in, fuse_rename_in, fuse_setattr_in } from "./messages.ts";
import { Fattr, Opcode, ROOT_ID } from "./protocol.ts";

/** A folder with a secret beside what is shared. */
class Host extends TestFolder {
  readonly shared = `${this.path}/shared`;

  constructor() {
    super();
    Deno.mkdirSync(`${this.shared}/d`, { recursive: true });
    this.write("secret", "secret");
    this.write("shared/d/a", "a");
  }
}

Deno.test("a name is one component, and never the folder above", async () => {
  await using host = new Host();
  using served = new ServedFolder(host.shared);
  const { client } = served;
  const names = [".", "..", "", "/", "d/a", "../secret", "/etc", "d/", "./d", "d\0/a"];
  for (const name of names.slice(0, -1)) {
    equal(client.lookupErrno(name), Errno.EINVAL, name);
    for (const opcode of [Opcode.UNLINK, Opcode.RMDIR]) {
      equal(client.send(opcode, ROOT_ID, [name]).errno, Errno.EINVAL);
    }
    equal(client.send(Opcode.SYMLINK, ROOT_ID, [name, "x"]).errno, Errno.EINVAL);
    const rename = filled(fuse_rename_in, { newdir: ROOT_ID });
    equal(client.send(Opcode.RENAME, ROOT_ID, [rename, "d", name]).errno, Errno.EINVAL);
    equal(client.send(Opcode.RENAME, ROOT_ID, [rename, name, "x"]).errno, Errno.EINVAL);
    equal(client.send(Opcode.CREATE, ROOT_ID, [new fuse_create_in(), name]).errno, Errno.EINVAL);
  }
  equal(client.lookupErrno("n".repeat(256)), Errno.ENAMETOOLONG);
  equal(client.send(Opcode.LOOKUP, ROOT_ID, [new Uint8Array(300).fill(97)]).errno, Errno.EINVAL);
  deepEqual([...Deno.readDirSync(host.shared)].map(({ name }) => name), ["d"]);
});

Deno.test("symbolic links are told, never followed", async () => {
  await using host = new Host();
  const links = {
    root: "/",
    secret: "../secret",
    up: "..",
    etc: "/etc/passwd",
    proc: "/proc/self/root",
  };
  for (const [name, text] of Object.entries(links)) {
    Deno.symlinkSync(text, `${host.shared}/${name}`);
  }
  using served = new ServedFolder(host.shared);
  const { client } = served;
  for (const [name, text] of Object.entries(links)) {
    const { nodeid, attr } = client.lookup(name);
    equal(attr.mode & S.S_IFMT, S.S_IFLNK);
    equal(new TextDecoder().decode(client.send(Opcode.READLINK, nodeid).bytes), text);
    equal(client.lookupErrno("etc", nodeid), Errno.ENOTDIR);
    equal(client.send(Opcode.OPEN, nodeid, [new fuse_open_in()]).errno, Errno.ELOOP);
    equal(client.send(Opcode.OPENDIR, nodeid, [new fuse_open_in()]).errno, Errno.ENOTDIR);
    equal(client.send(Opcode.CREATE, ROOT_ID, [new fuse_create_in(), name]).errno, Errno.ELOOP);
    const size = filled(fuse_setattr_in, { valid: Fattr.SIZE });
    equal(client.send(Opcode.SETATTR, nodeid, [size]).errno, Errno.EINVAL);
    const mode = filled(fuse_setattr_in, { valid: Fattr.MODE, mode: 0o777 });
    equal(client.send(Opcode.SETATTR, nodeid, [mode]).errno, Errno.ENOTSUP);
    const times = filled(fuse_setattr_in, { valid: Fattr.MTIME, mtime: 7n });
    const set = client.send(Opcode.SETATTR, nodeid, [times]);
    equal(new fuse_attr_out(set.answer).attr.mtime, 7n, "of the link itself");
  }
  equal(Deno.readTextFileSync(`${host.path}/secret`), "secret");
  assert.ok(Deno.statSync(`${host.path}/secret`).mtime!.getTime() > 7000);
});

Deno.test("a folder that becomes a link between two steps does not lead away", async () => {
  await using host = new Host();
  using served = new ServedFolder(host.shared);
  const { client, folder } = served;
  for (const isOpen of [false, true]) {
    const d = client.lookup("d").nodeid;
    if (isOpen) client.lookup("a", d);
    else folder.files.closeHalf();
    Deno.renameSync(`${host.shared}/d`, `${host.shared}/was`);
    Deno.symlinkSync(host.path, `${host.shared}/d`);
    const errno = client.lookupErrno("secret", d);
    equal(errno, isOpen ? Errno.ENOENT : Errno.ESTALE);
    const made = client.send(Opcode.CREATE, d, [
      filled(fuse_create_in, { flags: O.O_RDWR }),
      `new${isOpen}`,
    ]);
    equal(made.errno, isOpen ? 0 : Errno.ESTALE);
    Deno.removeSync(`${host.shared}/d`);
    Deno.renameSync(`${host.shared}/was`, `${host.shared}/d`);
  }
  deepEqual([...Deno.readDirSync(host.path)].map(({ name }) => name).sort(), ["secret", "shared"]);
});

Deno.test("a file that becomes a link, a FIFO or another file is not taken for the one it was", async () => {
  await using host = new Host();
  using served = new ServedFolder(host.shared);
  const { client } = served;
  const path = `${host.shared}/f`;
  const replacements = [
    () => Deno.symlinkSync("../secret", path),
    () => void new Deno.Command("mkfifo", { args: [path] }).outputSync(),
    () => Deno.linkSync(`${host.path}/secret`, path),
  ];
  for (const replace of replacements) {
    Deno.writeTextFileSync(path, "f");
    const { nodeid } = client.lookup("f");
    Deno.removeSync(path);
    replace();
    const flags = O.O_RDWR | O.O_TRUNC;
    equal(
      client.send(Opcode.OPEN, nodeid, [filled(fuse_open_in, { flags })]).errno,
      Errno.ESTALE,
    );
    equal(client.send(Opcode.GETATTR, nodeid, [new fuse_getattr_in()]).errno, Errno.ESTALE);
    equal(client.send(Opcode.READLINK, nodeid).errno, Errno.EINVAL);
    const link = filled(fuse_link_in, { oldnodeid: nodeid });
    equal(client.send(Opcode.LINK, ROOT_ID, [link, "h"]).errno, Errno.ESTALE);
    Deno.removeSync(path);
  }
  equal(Deno.readTextFileSync(`${host.path}/secret`), "secret");
});

Deno.test("a folder that is moved out while it is open shows nothing above it", async () => {
  await using host = new Host();
  using served = new ServedFolder(host.shared);
  const { client, folder } = served;
  const d = client.lookup("d").nodeid;
  const fh = client.open(d, 0, Opcode.OPENDIR);
  Deno.renameSync(`${host.shared}/d`, `${host.path}/out`);
  equal(client.lookupErrno("..", d), Errno.EINVAL);
  equal(client.lookupErrno("secret", d), Errno.ENOENT);
  const listed = client.list(d, true);
  deepEqual(listed.filter(({ nodeid }) => nodeid !== 0).map(({ name }) => name), ["a"]);
  // Once nothing of it is open any more it is gone.
  client.release(fh, Opcode.RELEASEDIR);
  folder.files.closeHalf();
  folder.files.closeHalf();
  equal(client.lookupErrno("a", d), Errno.ESTALE);
});

Deno.test("a tree that was turned inside out on the host has an end", async () => {
  await using host = new Host();
  Deno.mkdirSync(`${host.shared}/x/y`, { recursive: true });
  using served = new ServedFolder(host.shared);
  const { client, folder } = served;
  const x = client.walk("x");
  const y = client.lookup("y", x).nodeid;
  client.open(y, 0, Opcode.OPENDIR); // y stays reachable without its name
  Deno.renameSync(`${host.shared}/x/y`, `${host.shared}/y`);
  Deno.renameSync(`${host.shared}/x`, `${host.shared}/y/x`);
  equal(client.lookup("x", y).nodeid, x); // x is in y now, and y was last seen in x
  for (const fh of [1, 2]) client.release(fh, Opcode.RELEASEDIR);
  folder.files.closeHalf();
  folder.files.closeHalf();
  folder.files.closeHalf();
  equal(client.lookupErrno("y", x), Errno.ESTALE);
  equal(client.lookup("y").nodeid, y);
  equal(client.lookup("x", y).nodeid, x);
});

Deno.test("magic links of /proc are links like others", () => {
  using served = new ServedFolder("/proc/self", { readonly: true });
  const { client } = served;
  for (const name of ["root", "cwd", "exe"]) {
    const { nodeid, attr } = client.lookup(name);
    equal(attr.mode & S.S_IFMT, S.S_IFLNK, name);
    equal(client.lookupErrno("etc", nodeid), Errno.ENOTDIR);
    equal(client.send(Opcode.OPEN, nodeid, [new fuse_open_in()]).errno, Errno.ELOOP);
    equal(client.send(Opcode.OPENDIR, nodeid, [new fuse_open_in()]).errno, Errno.ENOTDIR);
  }
});

Deno.test("pseudo filesystems below a shared folder are empty", () => {
  using served = new ServedFolder("/", { readonly: true });
  const { client } = served;
  for (const name of ["proc", "sys"]) {
    const { nodeid, attr } = client.lookup(name);
    equal(attr.mode & S.S_IFMT, S.S_IFDIR);
    deepEqual(client.list(nodeid, true), []);
    equal(client.lookupErrno("self", nodeid), Errno.ENOENT);
    equal(client.lookupErrno("kernel", nodeid), Errno.ENOENT);
  }
});
