import assert, { deepEqual, equal } from "node:assert/strict";
import "../../tests/c_library.ts";
import { filled, ServedFolder } from "../../tests/fuse_client.ts";
import { TestFolder } from "../../tests/sh_line.ts";
import { Errno } from "../../ffi/errno.ts";
import { fuse_fsync_in, fuse_open_in, fuse_read_in } from "./messages.ts";
import { Opcode, ROOT_ID } from "./protocol.ts";

/** Types of getdents64(2). */
const DT = { DIR: 4, REG: 8, LNK: 10 };

Deno.test("a listing has each entry once, whatever the reply's size", async () => {
  await using host = new TestFolder();
  const names = Array.from({ length: 200 }, (_, i) => "n".repeat(i + 1));
  for (const name of names) host.write(name);
  using served = new ServedFolder(host.path, { mostDescriptors: 16 });
  for (const plus of [false, true]) {
    for (const size of [512, 1000, 4096, 65536, 1 << 20]) {
      const listed = served.client.list(ROOT_ID, plus, size).map(({ name }) => name);
      deepEqual(listed.sort(), [".", "..", ...names].sort(), `${plus} ${size}`);
    }
  }
});

Deno.test("a plain listing says what each entry is, and makes no node known", async () => {
  await using host = new TestFolder();
  host.write("f");
  Deno.mkdirSync(`${host.path}/d`);
  Deno.symlinkSync("f", `${host.path}/l`);
  using served = new ServedFolder(host.path);
  const { client, folder } = served;
  const types = new Map(client.list(ROOT_ID).map(({ name, type }) => [name, type]));
  deepEqual([types.get("f"), types.get("d"), types.get("l")], [DT.REG, DT.DIR, DT.LNK]);
  equal(folder.inodes.size, 1);
});

Deno.test("READDIRPLUS looks up what it tells, and nothing else", async () => {
  await using host = new TestFolder();
  for (let i = 0; i < 50; i++) host.write(`file${i}`);
  using served = new ServedFolder(host.path);
  const { client, folder } = served;
  const fh = client.open(ROOT_ID, 0, Opcode.OPENDIR);
  const args = filled(fuse_read_in, { fh, size: 1024 });
  equal(client.send(Opcode.READDIRPLUS, ROOT_ID, [args], 1024).errno, 0);
  const few = folder.inodes.size;
  equal(few > 1 && few < 10, true, `${few} nodes`);
  const listed = client.list(ROOT_ID, true);
  equal(folder.inodes.size, 51);
  for (const { name, nodeid } of listed) {
    if (name.startsWith(".")) equal(nodeid, 0);
    else client.forget(nodeid, 1);
  }
  equal(folder.inodes.size, few, "those of the first listing are known once more");
});

Deno.test("files of different filesystems have different numbers, wherever they are told", () => {
  using served = new ServedFolder("/", { mostInodes: 100_000 });
  const { client } = served;
  const inoIn = (path: string, name: string, plus: boolean) =>
    client.list(path === "" ? ROOT_ID : client.walk(path), plus)
      .find((entry) => entry.name === name)!.ino;
  const [root, mounted] = [Deno.statSync("/"), Deno.statSync("/dev")];
  assert.notEqual(root.dev, mounted.dev, "a host has its devices on a filesystem of their own");
  equal(client.getattr(ROOT_ID).ino, BigInt(root.ino!));
  const dev = client.getattr(client.walk("dev")).ino;
  equal(dev & 0xffff_ffff_ffffn, BigInt(mounted.ino!));
  assert.notEqual(dev, BigInt(mounted.ino!));
  equal(inoIn("", "dev", true), dev);
  equal(inoIn("dev", ".", false), dev);
  const zero = client.getattr(client.walk("dev/zero")).ino;
  equal(zero, BigInt(Deno.statSync("/dev/zero").ino!) ^ dev ^ BigInt(mounted.ino!));
  for (const plus of [false, true]) equal(inoIn("dev", "zero", plus), zero);
});

Deno.test("a listing goes on where it was told to, and an end is an end", async () => {
  await using host = new TestFolder();
  for (const name of ["a", "b", "c"]) host.write(name);
  using served = new ServedFolder(host.path);
  const { client } = served;
  const all = client.list(ROOT_ID);
  const fh = client.open(ROOT_ID, 0, Opcode.OPENDIR);
  const from = (position: bigint) => {
    const args = filled(fuse_read_in, { fh, size: 4096 });
    args.view.setBigInt64(fuse_read_in.offsets.position, position, true);
    return client.send(Opcode.READDIR, ROOT_ID, [args]);
  };
  const whole = from(0n).bytes;
  equal(from(all.at(-1)!.position).bytes.length, 0);
  deepEqual(from(0n).bytes, whole);
  deepEqual(from(all[2]!.position).bytes, whole.slice(3 * 32));
  equal(from(-1n).errno, Errno.EINVAL);
  equal(from(0n).errno, 0);
});

Deno.test("a reply too small for one entry is an error", async () => {
  await using host = new TestFolder();
  using served = new ServedFolder(host.path);
  const { client } = served;
  const fh = client.open(ROOT_ID, 0, Opcode.OPENDIR);
  const list = (size: number, room: number) =>
    client.send(Opcode.READDIR, ROOT_ID, [filled(fuse_read_in, { fh, size })], room).errno;
  equal(list(8, 4096), Errno.EINVAL);
  equal(list(4096, 8), Errno.EINVAL);
  equal(list(4096, 0), Errno.EINVAL);
});

Deno.test("folders are opened as folders, synced and closed", async () => {
  await using host = new TestFolder();
  host.write("a");
  using served = new ServedFolder(host.path);
  const { client, folder } = served;
  const file = client.lookup("a").nodeid;
  equal(client.send(Opcode.OPENDIR, file, [new fuse_open_in()]).errno, Errno.ENOTDIR);
  equal(client.send(Opcode.OPENDIR, 99, [new fuse_open_in()]).errno, Errno.ESTALE);
  const fh = client.open(ROOT_ID, 0, Opcode.OPENDIR);
  equal(client.send(Opcode.FSYNCDIR, ROOT_ID, [filled(fuse_fsync_in, { fh })]).errno, 0);
  equal(client.release(client.open(file), Opcode.RELEASEDIR), Errno.EBADF);
  equal(client.release(fh, Opcode.RELEASEDIR), 0);
  equal(client.release(fh, Opcode.RELEASEDIR), Errno.EBADF);
  equal(folder.handles.size, 1);
});
