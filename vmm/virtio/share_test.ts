import "../../tests/c_library.ts";
import assert, { deepEqual, equal, rejects } from "node:assert/strict";
import * as v from "valibot";
import { type BufferMessage, FuseClient } from "../../tests/fuse_client.ts";
import { nothingOpenedSince, openFiles } from "../../tests/leaks.ts";
import { TestFolder } from "../../tests/sh_line.ts";
import { TRANSPORTS, VirtioMachine } from "../../tests/virtio_machine.ts";
import { Errno } from "../../ffi/errno.ts";
import { HostError } from "../../ffi/errors.ts";
import { Opcode, ROOT_ID } from "../fuse/protocol.ts";
import { share } from "./share.ts";
import { Status } from "./status.ts";

const HIPRIO = 0;
const REQUESTS = 1;

/** The guest's filesystem driver. */
function guest(vm: VirtioMachine, pieces = 2): FuseClient {
  return new FuseClient({
    handle(message: BufferMessage) {
      const queue = message.writable === 0 ? HIPRIO : REQUESTS;
      const length = Math.ceil(message.readable / pieces);
      const read = Array.from(
        { length: pieces },
        (_, i) => message.request.slice(i * length, (i + 1) * length),
      ).filter((piece) => piece.length > 0);
      const write = message.writable === 0
        ? []
        : [16, message.writable - 16].filter((room) => room > 0);
      const request = vm.driver(queue).add({ read, write });
      vm.kick(queue);
      vm.poll();
      const [used] = vm.driver(queue).collect();
      assert.ok(used, "the request was not answered");
      message.reply.set(request.written());
      return used.written;
    },
  });
}

for (const transport of TRANSPORTS) {
  Deno.test(`share over ${transport}: files are listed, read, written, and forgotten at a reset`, async () => {
    await using host = new TestFolder();
    Deno.mkdirSync(`${host.path}/d`);
    host.write("d/a", "text");
    const before = openFiles();
    {
      const config = { path: host.path, tag: "work", readonly: false };
      await using vm = await VirtioMachine.open(share, config, { transport });
      const client = guest(vm);
      const out = client.init();
      deepEqual([out.major, out.max_write, out.max_pages], [7, 1 << 20, 256]);
      const d = client.lookup("d").nodeid;
      deepEqual(client.list(d, true).map(({ name }) => name).sort(), [".", "..", "a"]);
      const { fh } = client.create("b", 0o644, 2, d);
      equal(client.write(fh, 0, "from the guest"), 14);
      equal(new TextDecoder().decode(client.read(fh, 5, 100).bytes), "the guest");
      equal(Deno.readTextFileSync(`${host.path}/d/b`), "from the guest");
      assert.ok(vm.takeInterrupt(REQUESTS));
      const counted = vm.threads.main.stats!();
      deepEqual(
        [counted.bytes_read, counted.bytes_written, counted.open_files, counted.errors],
        [9, 14, 1, 0],
      );
      client.forget(d, 1);
      vm.reset();
      vm.start();
      vm.poll();
      equal(vm.threads.main.stats!().open_files, 0);
      equal(guest(vm).lookup("d").attr.mode & 0o170000, 0o40000);
    }
    nothingOpenedSince(before);
  });

  Deno.test(`share over ${transport}: the tag and the number of queues are in its configuration`, async () => {
    await using host = new TestFolder();
    const config = { path: host.path, queues: 2 };
    await using vm = await VirtioMachine.open(share, config, { transport });
    const bytes = Array.from({ length: 40 }, (_, i) => vm.registers.readConfig(i, 1));
    equal(
      new TextDecoder().decode(Uint8Array.from(bytes)),
      "share0".padEnd(36, "\0") + "\x02\0\0\0",
    );
    equal(vm.registers.readConfig(36, 4), 2);
    equal(vm.registers.readConfig(36, 2), 2);
  });

  Deno.test(`share over ${transport}: 1 MiB comes in one request, of 258 descriptors`, async () => {
    await using host = new TestFolder();
    const data = new Uint8Array(1 << 20).map((_, i) => i * 13 + (i >> 9));
    host.write("a", data);
    await using vm = await VirtioMachine.open(share, { path: host.path }, { transport });
    const client = guest(vm);
    const fh = client.open(client.lookup("a").nodeid);
    const read = client.message(Opcode.READ, 0, readIn(fh, data.length));
    const request = vm.driver(REQUESTS).add({
      read: [read.slice(0, 40), read.slice(40)],
      write: [16, ...Array<number>(256).fill(4096)],
    });
    vm.kick(REQUESTS);
    vm.poll();
    const [used] = vm.driver(REQUESTS).collect();
    equal(used!.written, 16 + data.length);
    assert.ok(request.written().subarray(16).every((byte, i) => byte === data[i]));
  });

  Deno.test(`share over ${transport}: many requests at once are all answered, in order`, async () => {
    await using host = new TestFolder();
    host.write("a");
    await using vm = await VirtioMachine.open(share, { path: host.path }, { transport });
    const client = guest(vm);
    const lookup = client.message(Opcode.LOOKUP, ROOT_ID, "a");
    const requests = Array.from(
      { length: 300 },
      () => vm.driver(REQUESTS).add({ read: [lookup], write: [144] }),
    );
    vm.kick(REQUESTS);
    vm.poll();
    const used = vm.driver(REQUESTS).collect();
    deepEqual(used.map(({ request }) => request), requests);
    assert.ok(used.every(({ written }) => written === 144));
    equal(vm.threads.main.stats!().requests, 300);
  });

  Deno.test(`share over ${transport}: what cannot be answered needs a reset, which brings it back`, async () => {
    await using host = new TestFolder();
    host.write("a");
    await using vm = await VirtioMachine.open(share, { path: host.path }, { transport });
    const client = guest(vm);
    const whole = client.message(Opcode.LOOKUP, ROOT_ID, "a");
    for (
      const parts of [
        { read: [whole.slice(0, 39)], write: [144] },
        { read: [whole], write: [15] },
        { read: [whole], write: [] },
        { read: [], write: [144] },
      ]
    ) {
      vm.driver(REQUESTS).add(parts);
      vm.kick(REQUESTS);
      vm.poll();
      equal(vm.status & Status.DEVICE_NEEDS_RESET, Status.DEVICE_NEEDS_RESET);
      vm.reset();
      vm.start();
      client.lookup("a");
    }
    equal(client.lookupErrno("b"), Errno.ENOENT);
  });
}

function readIn(fh: number, size: number): Uint8Array {
  const args = new DataView(new ArrayBuffer(40));
  args.setUint32(0, fh, true);
  args.setUint32(16, size, true);
  return new Uint8Array(args.buffer);
}

Deno.test("a share that cannot be is refused before the VM is made, with the path", async () => {
  await using host = new TestFolder();
  const file = host.write("a");
  const context = { name: "share0", event() {} };
  const prepare = (config: unknown) => share.prepare!(v.parse(share.schema!, config), context);
  const before = openFiles();
  for (const [path, code] of [[file, "ENOTDIR"], [`${host.path}/none`, "ENOENT"]]) {
    await rejects(prepare({ path }), (error) => {
      assert.ok(error instanceof HostError && error.path === path && error.code === code);
      return true;
    });
  }
  await rejects(
    share.prepare!(v.parse(share.schema!, { path: host.path }), {
      ...context,
      name: "n".repeat(37),
    }),
    /too long to be a tag/,
  );
  nothingOpenedSince(before);
  for (
    const config of [
      {},
      { path: "" },
      { path: "a\0b" },
      { path: "/", tag: "" },
      { path: "/", tag: "ä".repeat(19) },
      { path: "/", cache: "never" },
      { path: "/", uid: -1 },
      { path: "/", uid: 2 ** 32 - 1 },
      { path: "/", queues: 0 },
    ]
  ) {
    assert.ok(!v.safeParse(share.schema!, config).success, JSON.stringify(config));
  }
});
