import assert, { deepEqual, equal } from "node:assert/strict";
import "../../tests/c_library.ts";
import { filled, ServedFolder } from "../../tests/fuse_client.ts";
import { TestFolder } from "../../tests/sh_line.ts";
import { Errno } from "../../ffi/errno.ts";
import { O, S } from "../../ffi/file_structs.ts";
import {
  fuse_access_in,
  fuse_attr_out,
  fuse_getattr_in,
  fuse_setattr_in,
  fuse_statfs_out,
} from "./messages.ts";
import { shownGid, shownUid } from "./folder_attributes.ts";
import { statx } from "../../ffi/file_structs.ts";
import { Fattr, GETATTR_FH, Opcode, ROOT_ID } from "./protocol.ts";

type Setattr = Partial<InstanceType<typeof fuse_setattr_in>>;

function setattr(served: ServedFolder, nodeid: number, fields: Setattr) {
  const { errno, answer } = served.client.send(Opcode.SETATTR, nodeid, [
    filled(fuse_setattr_in, fields),
  ]);
  return errno === 0 ? new fuse_attr_out(answer).attr : errno;
}

Deno.test("permissions, sizes and times are set, and answered as they are then", async () => {
  await using host = new TestFolder();
  host.write("a", "0123456789");
  using served = new ServedFolder(host.path);
  const { nodeid } = served.client.lookup("a");
  const attr = setattr(served, nodeid, {
    valid: Fattr.MODE | Fattr.SIZE | Fattr.ATIME | Fattr.MTIME,
    mode: 0o640,
    size: 4,
    atime: 1_000_000_000n,
    atimensec: 5,
    mtime: 2n ** 33n,
    mtimensec: 999_999_999,
  });
  assert.ok(typeof attr === "object");
  equal(attr.mode, S.S_IFREG | 0o640);
  deepEqual([attr.size, attr.atime, attr.atimensec], [4n, 1_000_000_000n, 5]);
  deepEqual([attr.mtime, attr.mtimensec], [2n ** 33n, 999_999_999]);
  const now = setattr(served, nodeid, { valid: Fattr.MTIME | Fattr.MTIME_NOW });
  assert.ok(typeof now === "object" && Math.abs(Number(now.mtime) - Date.now() / 1000) < 100);
  equal(now.atime, 1_000_000_000n, "the other time stays");
  equal(Deno.readTextFileSync(`${host.path}/a`), "0123");
});

Deno.test("set-user-ID and set-group-ID cannot be set on files, set-group-ID can on folders", async () => {
  await using host = new TestFolder();
  host.write("a");
  Deno.mkdirSync(`${host.path}/d`);
  using served = new ServedFolder(host.path);
  for (const [name, mode] of [["a", 0o1755], ["d", 0o3755]] as const) {
    const { nodeid } = served.client.lookup(name);
    const attr = setattr(served, nodeid, { valid: Fattr.MODE, mode: 0o7755 });
    assert.ok(typeof attr === "object");
    equal(attr.mode & 0o7777, mode);
  }
});

Deno.test("a size is set through the open file too, and set-user-ID goes with it", async () => {
  await using host = new TestFolder();
  host.write("a", "0123456789");
  using served = new ServedFolder(host.path);
  const { nodeid } = served.client.lookup("a");
  const fh = served.client.open(nodeid, O.O_WRONLY);
  Deno.chmodSync(`${host.path}/a`, 0o4755);
  const attr = setattr(served, nodeid, { valid: Fattr.SIZE | Fattr.FH, fh, size: 2 });
  assert.ok(typeof attr === "object");
  equal(attr.size, 2n);
  const other = setattr(served, nodeid, { valid: Fattr.SIZE, size: 3 });
  assert.ok(typeof other === "object");
  deepEqual([other.size, other.mode & 0o7777], [3n, 0o755]);
  equal(setattr(served, nodeid, { valid: Fattr.SIZE, size: 2 ** 60 }), Errno.EFBIG);
  equal(setattr(served, ROOT_ID, { valid: Fattr.SIZE, size: 0 }), Errno.EISDIR);
});

Deno.test("files keep their owner; to say so again is no error", async () => {
  await using host = new TestFolder();
  host.write("a");
  using served = new ServedFolder(host.path, { uid: 1000, gid: 100 });
  const { nodeid, attr } = served.client.lookup("a");
  deepEqual([attr.uid, attr.gid], [1000, 100]);
  const before = Deno.statSync(`${host.path}/a`);
  const same = setattr(served, nodeid, { valid: Fattr.UID | Fattr.GID, uid: 1000, gid: 100 });
  assert.ok(typeof same === "object");
  equal(setattr(served, nodeid, { valid: Fattr.UID, uid: 0 }), Errno.EPERM);
  equal(setattr(served, nodeid, { valid: Fattr.GID, gid: 0 }), Errno.EPERM);
  const both: Setattr = { valid: Fattr.UID | Fattr.MODE, uid: 5, mode: 0 };
  equal(setattr(served, nodeid, both), Errno.EPERM);
  const after = Deno.statSync(`${host.path}/a`);
  deepEqual([after.uid, after.gid, after.mode], [before.uid, before.gid, before.mode]);
});

Deno.test("files of the host's user are root's, others keep their owner", () => {
  const stat = new statx();
  stat.stx_uid = 1000;
  stat.stx_gid = 7;
  const own = { ownUid: 1000, ownGid: 1000, uid: undefined, gid: undefined };
  deepEqual([shownUid(own, stat.view), shownGid(own, stat.view)], [0, 7]);
  const squashed = { ...own, uid: 33, gid: 0 };
  deepEqual([shownUid(squashed, stat.view), shownGid(squashed, stat.view)], [33, 0]);
});

Deno.test("attributes of an open file are had by its handle", async () => {
  await using host = new TestFolder();
  host.write("a", "text");
  using served = new ServedFolder(host.path);
  const { client } = served;
  const { nodeid } = client.lookup("a");
  const fh = client.open(nodeid);
  Deno.removeSync(`${host.path}/a`);
  for (const handle of [fh, 12345]) {
    const args = filled(fuse_getattr_in, { getattr_flags: GETATTR_FH, fh: handle });
    const { errno, answer } = client.send(Opcode.GETATTR, nodeid, [args]);
    equal(errno, 0);
    equal(new fuse_attr_out(answer).attr.nlink, 0);
  }
});

Deno.test("STATFS and ACCESS say what the host says", async () => {
  await using host = new TestFolder();
  host.write("a");
  using served = new ServedFolder(host.path);
  const { client } = served;
  const { errno, answer } = client.send(Opcode.STATFS, ROOT_ID);
  equal(errno, 0);
  const { st } = new fuse_statfs_out(answer);
  assert.ok(st.blocks > 0n && st.bsize >= 512 && st.namelen === 255 && st.bfree <= st.blocks);
  Deno.chmodSync(`${host.path}/a`, 0o600);
  const { nodeid } = client.lookup("a");
  const access = (mask: number) =>
    client.send(Opcode.ACCESS, nodeid, [filled(fuse_access_in, { mask })]).errno;
  equal(access(6), 0);
  equal(access(1), Errno.EACCES);
});
