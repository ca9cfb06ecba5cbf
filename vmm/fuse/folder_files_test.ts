import assert, { deepEqual, equal } from "node:assert/strict";
import "../../tests/c_library.ts";
import { BufferMessage, filled, ServedFolder } from "../../tests/fuse_client.ts";
import { nothingOpenedSince, openFiles } from "../../tests/leaks.ts";
import { TestFolder } from "../../tests/sh_line.ts";
import { Errno } from "../../ffi/errno.ts";
import { O } from "../../ffi/file_structs.ts";
import {
  fuse_create_in,
  fuse_fallocate_in,
  fuse_fsync_in,
  fuse_getattr_in,
  fuse_lseek_in,
  fuse_lseek_out,
  fuse_open_in,
  fuse_open_out,
  fuse_read_in,
  fuse_write_in,
} from "./messages.ts";
import { Fopen, Opcode, ROOT_ID, WRITE_CACHE } from "./protocol.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("what is written is read, anywhere in the file, and on the host", async () => {
  await using host = new TestFolder();
  using served = new ServedFolder(host.path);
  const { client } = served;
  const { entry, fh } = client.create("a");
  equal(client.write(fh, 3, "defg"), 4);
  equal(client.write(fh, 0, "abc"), 3);
  equal(text(client.read(fh, 2, 3).bytes), "cde");
  equal(text(client.read(fh, 5, 100).bytes), "fg");
  equal(client.read(fh, 7, 100).bytes.length, 0);
  equal(client.read(fh, 2 ** 60, 100).bytes.length, 0);
  equal(Deno.readTextFileSync(`${host.path}/a`), "abcdefg");
  equal(Number(client.getattr(entry.nodeid).size), 7);
  equal(client.release(fh), 0);
  equal(client.release(fh), Errno.EBADF);
  equal(client.read(fh, 0, 1).errno, Errno.EBADF);
  equal(client.write(fh, 0, "x"), -Errno.EBADF);
  equal(served.folder.bytesRead, 5);
  equal(served.folder.bytesWritten, 7);
});

Deno.test("1 MiB goes over in one message, in whatever pieces", async () => {
  await using host = new TestFolder();
  using served = new ServedFolder(host.path);
  const { client } = served;
  const { fh } = client.create("a");
  const data = new Uint8Array(1 << 20).map((_, i) => i * 7 + (i >> 8));
  for (const piece of [1 << 20, 4096, 513]) {
    const write = filled(fuse_write_in, { fh, size: data.length });
    const put = client.exchange(
      new BufferMessage(client.message(Opcode.WRITE, 0, write, data), 24, piece),
    );
    equal(put.answer.getUint32(0, true), data.length);
    const read = filled(fuse_read_in, { fh, size: data.length });
    const message = client.message(Opcode.READ, 0, read);
    const got = client.exchange(new BufferMessage(message, 16 + data.length, piece));
    equal(got.errno, 0);
    assert.ok(got.bytes.every((byte, i) => byte === data[i]) && got.bytes.length === data.length);
  }
});

Deno.test("a READ gives no more than there is room for, a WRITE takes no more than was sent", async () => {
  await using host = new TestFolder();
  host.write("a", "0123456789");
  using served = new ServedFolder(host.path);
  const { client } = served;
  const fh = client.open(client.lookup("a").nodeid, O.O_RDWR);
  const read = filled(fuse_read_in, { fh, size: 2 ** 32 - 1 });
  equal(text(client.send(Opcode.READ, 0, [read], 4).bytes), "0123");
  equal(client.send(Opcode.READ, 0, [read], 0).bytes.length, 0);
  const write = filled(fuse_write_in, { fh, size: 9 });
  equal(client.send(Opcode.WRITE, 0, [write, "1234567"]).errno, Errno.EINVAL);
  equal(Deno.readTextFileSync(`${host.path}/a`), "0123456789");
  equal(client.write(fh, 2 ** 53, "x"), -Errno.EFBIG);
});

Deno.test("a file is open for what it was opened for", async () => {
  await using host = new TestFolder();
  host.write("a", "text");
  using served = new ServedFolder(host.path);
  const { client } = served;
  const node = client.lookup("a").nodeid;
  const reading = client.open(node, O.O_RDONLY);
  const writing = client.open(node, O.O_WRONLY);
  equal(client.write(reading, 0, "x"), -Errno.EBADF);
  equal(client.read(writing, 0, 1).errno, Errno.EBADF);
  const appending = client.open(node, O.O_WRONLY | O.O_APPEND);
  client.write(appending, 0, "!", { flags: O.O_APPEND });
  equal(Deno.readTextFileSync(`${host.path}/a`), "text!");
  client.release(client.open(node, O.O_WRONLY | O.O_TRUNC));
  equal(Deno.statSync(`${host.path}/a`).size, 0);
  const folder = client.open(ROOT_ID, 0, Opcode.OPENDIR);
  equal(client.read(folder, 0, 1).errno, Errno.EBADF);
  equal(client.release(folder), 0);
});

Deno.test("what a mapping of an appending file writes goes to its place, and the rest to the end", async () => {
  await using host = new TestFolder();
  host.write("a", "0123456789");
  using served = new ServedFolder(host.path);
  const { client } = served;
  const fh = client.open(client.lookup("a").nodeid, O.O_RDWR | O.O_APPEND);
  const flags = O.O_RDWR | O.O_APPEND;
  const text = () => Deno.readTextFileSync(`${host.path}/a`);
  equal(client.write(fh, 0, "ab", { write_flags: WRITE_CACHE }), 2);
  equal(text(), "ab23456789");
  Deno.writeTextFileSync(`${host.path}/a`, "+", { append: true }); // the client doesn't know of it
  equal(client.write(fh, 10, "!", { flags }), 1);
  equal(text(), "ab23456789+!");
  equal(client.write(fh, 4, "cd", { flags, write_flags: WRITE_CACHE }), 2);
  equal(client.write(fh, 8, "ef"), 2); // the client has taken O_APPEND from its file
  equal(text(), "ab23cd67ef+!");
  equal(client.write(fh, 0, "?", { flags }), 1);
  equal(text(), "ab23cd67ef+!?");
});

Deno.test("CREATE opens what is there already unless it must be new", async () => {
  await using host = new TestFolder();
  host.write("a", "text");
  using served = new ServedFolder(host.path);
  const { client } = served;
  const exclusive = filled(fuse_create_in, { flags: O.O_RDWR | O.O_EXCL, mode: 0o600 });
  equal(client.send(Opcode.CREATE, ROOT_ID, [exclusive, "a"]).errno, Errno.EEXIST);
  const opened = client.create("a");
  equal(Number(opened.entry.attr.size), 4);
  equal(text(client.read(opened.fh, 0, 9).bytes), "text");
  equal(Number(client.create("a", 0o600, O.O_RDWR | O.O_TRUNC).entry.attr.size), 0);
  // A link that somebody put there is not followed.
  Deno.symlinkSync("/etc/hostname", `${host.path}/l`);
  const through = filled(fuse_create_in, { flags: O.O_RDWR, mode: 0o600 });
  equal(client.send(Opcode.CREATE, ROOT_ID, [through, "l"]).errno, Errno.ELOOP);
});

Deno.test("an open file outlives its name", async () => {
  await using host = new TestFolder();
  using served = new ServedFolder(host.path);
  const { client, folder } = served;
  const { entry, fh } = client.create("a");
  client.write(fh, 0, "text");
  client.send(Opcode.UNLINK, ROOT_ID, ["a"]);
  folder.files.closeHalf();
  const attr = client.getattr(entry.nodeid);
  deepEqual([Number(attr.size), attr.nlink], [4, 0]);
  const again = client.open(entry.nodeid, O.O_RDWR);
  equal(text(client.read(again, 0, 9).bytes), "text");
  client.forget(entry.nodeid);
  equal(text(client.read(fh, 0, 9).bytes), "text");
  client.release(fh);
  client.release(again);
  equal(folder.inodes.size, 1);
  equal(folder.files.open, 0);
});

Deno.test("fsync, flush, holes and allocation do what they do on the host", async () => {
  await using host = new TestFolder();
  using served = new ServedFolder(host.path);
  const { client } = served;
  const { fh } = client.create("a");
  const ask = (opcode: number, args: { bytes(): Uint8Array }) => client.send(opcode, 0, [args]);
  equal(ask(Opcode.FALLOCATE, filled(fuse_fallocate_in, { fh, length: 8192 })).errno, 0);
  equal(Deno.statSync(`${host.path}/a`).size, 8192);
  client.write(fh, 1 << 20, "x");
  equal(ask(Opcode.FSYNC, filled(fuse_fsync_in, { fh })).errno, 0);
  equal(ask(Opcode.FSYNC, filled(fuse_fsync_in, { fh, fsync_flags: 1 })).errno, 0);
  equal(ask(Opcode.FLUSH, { bytes: () => new Uint8Array([fh, ...new Uint8Array(23)]) }).errno, 0);
  equal(client.send(Opcode.SYNCFS, ROOT_ID, [new Uint8Array(8)]).errno, 0);
  const seek = (position: bigint, whence: number) =>
    ask(Opcode.LSEEK, filled(fuse_lseek_in, { fh, position, whence }));
  const data = seek(65536n, 3);
  equal(data.errno, 0);
  assert.ok(new fuse_lseek_out(data.answer).position <= BigInt(1 << 20));
  equal(seek(BigInt(1 << 20) + 10n, 3).errno, Errno.ENXIO);
  equal(seek(0n, 0).errno, Errno.EINVAL);
  equal(seek(0xffff_ffff_ffff_ffffn, 4).errno, Errno.ENXIO);
});

Deno.test("set-user-ID does not survive a client's write", async () => {
  await using host = new TestFolder();
  host.write("a", "#!/bin/sh\n");
  using served = new ServedFolder(host.path);
  const { client } = served;
  const mode = () => Deno.statSync(`${host.path}/a`).mode! & 0o7777;
  const node = client.lookup("a").nodeid;
  Deno.chmodSync(`${host.path}/a`, 0o4755);
  const fh = client.open(node, O.O_RDWR);
  equal(mode(), 0o4755);
  client.write(fh, 0, "x");
  equal(mode(), 0o755);
  Deno.chmodSync(`${host.path}/a`, 0o2755);
  client.open(node, O.O_WRONLY | O.O_TRUNC);
  equal(mode(), 0o755);
});

Deno.test("what is no plain file is not opened, and nothing waits for it", async () => {
  await using host = new TestFolder();
  new Deno.Command("mkfifo", { args: [`${host.path}/p`] }).outputSync();
  Deno.symlinkSync("p", `${host.path}/l`);
  Deno.mkdirSync(`${host.path}/d`);
  using served = new ServedFolder(host.path);
  const { client } = served;
  const refused = (name: string, flags: number) =>
    client.send(Opcode.OPEN, client.lookup(name).nodeid, [filled(fuse_open_in, { flags })]).errno;
  equal(refused("p", O.O_RDONLY), Errno.ENXIO);
  equal(refused("p", O.O_WRONLY), Errno.ENXIO);
  equal(refused("l", O.O_RDONLY), Errno.ELOOP);
  equal(refused("d", O.O_RDONLY), Errno.EISDIR);
  const args = filled(fuse_create_in, { flags: O.O_WRONLY });
  equal(client.send(Opcode.CREATE, ROOT_ID, [args, "p"]).errno, Errno.ENXIO);
});

Deno.test("files that are open, nodes and descriptors have bounds", async () => {
  await using host = new TestFolder();
  const names = Array.from({ length: 40 }, (_, i) => `f${i}`);
  for (const name of names) host.write(name, name);
  const before = openFiles();
  {
    using served = new ServedFolder(host.path, {
      mostDescriptors: 16,
      mostHandles: 20,
      mostInodes: 30,
    });
    const { client, folder } = served;
    const found = names.map((name) => client.send(Opcode.LOOKUP, ROOT_ID, [name]));
    deepEqual(found.map(({ errno }) => errno), [
      ...Array(29).fill(0),
      ...Array(11).fill(Errno.ENFILE),
    ]);
    const nodes = names.slice(0, 29).map((name) => client.lookup(name).nodeid);
    const opened = nodes.map((node) => client.send(Opcode.OPEN, node, [new fuse_open_in()]));
    deepEqual(opened.map(({ errno }) => errno), [
      ...Array(20).fill(0),
      ...Array(9).fill(Errno.ENFILE),
    ]);
    equal(folder.files.open, 16);
    for (const [i, { answer }] of opened.slice(0, 20).entries()) {
      const { fh } = new fuse_open_out(answer);
      equal(text(client.read(fh, 0, 9).bytes), names[i]);
    }
    client.send(Opcode.DESTROY, 0);
    equal(folder.inodes.size, 1);
    equal(folder.handles.size, 0);
  }
  nothingOpenedSince(before);
});

Deno.test("the cache's word is what replies say of it", async () => {
  await using host = new TestFolder();
  host.write("a");
  for (
    const [cache, seconds, flags] of [
      ["none", 0, Fopen.DIRECT_IO | Fopen.NOFLUSH],
      ["auto", 1, Fopen.NOFLUSH],
      ["always", 86400, Fopen.KEEP_CACHE | Fopen.NOFLUSH],
    ] as const
  ) {
    using served = new ServedFolder(host.path, { cache });
    const { client } = served;
    client.init();
    const entry = client.lookup("a");
    deepEqual([entry.entry_valid, entry.attr_valid], [seconds, seconds]);
    const opened = client.send(Opcode.OPEN, entry.nodeid, [new fuse_open_in()]);
    equal(new fuse_open_out(opened.answer).open_flags, flags);
    equal(client.send(Opcode.GETATTR, entry.nodeid, [new fuse_getattr_in()]).errno, 0);
    client.init(31);
    const older = client.send(Opcode.OPEN, client.lookup("a").nodeid, [new fuse_open_in()]);
    equal(new fuse_open_out(older.answer).open_flags, flags & ~Fopen.NOFLUSH);
  }
});
