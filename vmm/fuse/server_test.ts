import { deepEqual, equal } from "node:assert/strict";
import "../../tests/c_library.ts";
import { BufferMessage, filled, FuseClient } from "../../tests/fuse_client.ts";
import { Errno } from "../../ffi/errno.ts";
import { initOperation } from "./init.ts";
import { fuse_getattr_in, fuse_init_in, fuse_init_out, fuse_mkdir_in } from "./messages.ts";
import { InitFlag, Opcode } from "./protocol.ts";
import { ANSWER, FuseRequest, type Operation } from "./request.ts";
import { FuseServer, MALFORMED } from "./server.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function client(row: Partial<Operation>, opcode: number = Opcode.MKDIR) {
  const request = new FuseRequest();
  const ran: string[] = [];
  const operation: Operation = {
    args: 0,
    run(request) {
      ran.push(`${text(request.name)}|${text(request.name2)}`);
      return 0;
    },
    ...row,
  };
  return { ...new Served(new FuseServer(request, { [opcode]: operation })), ran };
}

class Served {
  readonly client: FuseClient;
  constructor(readonly server: FuseServer) {
    this.client = new FuseClient(server);
  }
}

Deno.test("what has no header, or no room for a reply's, is malformed", () => {
  const { client: c, server, ran } = client({});
  const whole = c.message(Opcode.MKDIR, 1);
  equal(server.handle(new BufferMessage(whole.slice(0, 39), 100)), MALFORMED);
  equal(server.handle(new BufferMessage(new Uint8Array(0), 100)), MALFORMED);
  equal(server.handle(new BufferMessage(whole, 15)), MALFORMED);
  equal(server.handle(new BufferMessage(whole, 0)), MALFORMED);
  deepEqual(ran, []);
  equal(server.handle(new BufferMessage(whole, 16)), 16);
});

Deno.test("an operation that is not there is ENOSYS, whatever its number", () => {
  const { client: c, server } = client({});
  for (const opcode of [0, 1, 52, 4096, 2 ** 31, 2 ** 32 - 1]) {
    equal(c.send(opcode, 1).errno, Errno.ENOSYS);
  }
  equal(server.errors, 6);
});

Deno.test("a length that is not the message's, or too short for the arguments, is EINVAL", () => {
  const { client: c, ran } = client({ args: fuse_mkdir_in.size });
  const whole = c.message(Opcode.MKDIR, 1, new fuse_mkdir_in());
  const withLength = (length: number) => {
    const copy = whole.slice();
    new DataView(copy.buffer).setUint32(0, length, true);
    return c.exchange(new BufferMessage(copy, 16)).errno;
  };
  for (const length of [0, 39, 47, 49, 2 ** 31, 2 ** 32 - 1]) {
    equal(withLength(length), Errno.EINVAL);
  }
  equal(withLength(48), 0);
  equal(ran.length, 1);
});

Deno.test("an operation whose answer has no room is not done", () => {
  const { client: c, ran } = client({ answer: 24 });
  equal(c.send(Opcode.MKDIR, 1, [], 23).errno, Errno.EINVAL);
  deepEqual(ran, []);
  equal(c.send(Opcode.MKDIR, 1, [], 24).errno, 0);
});

Deno.test("names end with a NUL inside the message", () => {
  const { client: c, ran } = client({ names: 2, text: true });
  const send = (...parts: (string | Uint8Array)[]) => c.send(Opcode.MKDIR, 1, parts).errno;
  const raw = (text: string) => new TextEncoder().encode(text);
  equal(send("a", "b/c"), 0);
  equal(send("a", ""), 0);
  equal(send("a".repeat(255), "b".repeat(4095)), 0);
  deepEqual(ran, ["a\0|b/c\0", "a\0|\0", `${"a".repeat(255)}\0|${"b".repeat(4095)}\0`]);
  equal(send("a"), Errno.EINVAL);
  equal(send("a", raw("b")), Errno.EINVAL);
  equal(send(raw("ab")), Errno.EINVAL);
  equal(send("", "b"), Errno.EINVAL);
  equal(send("a/b", "b"), Errno.EINVAL);
  equal(send("a".repeat(256), "b"), Errno.ENAMETOOLONG);
  equal(send("a", "b".repeat(4096)), Errno.ENAMETOOLONG);
  equal(send("a", "b".repeat(9000)), Errno.ENAMETOOLONG);
  equal(ran.length, 3);
});

Deno.test("what nobody waits for gets no reply, right or wrong", () => {
  const { client: c, ran } = client({ replies: false, args: 8 }, Opcode.FORGET);
  c.tell(Opcode.FORGET, 1, new Uint8Array(8));
  c.tell(Opcode.FORGET, 1);
  equal(ran.length, 1);
});

Deno.test("arguments that an older kernel does not send are zero", () => {
  let seen = -1;
  const request = new FuseRequest();
  const args = new fuse_getattr_in(request.view, 40);
  const server = new FuseServer(request, {
    [Opcode.GETATTR]: {
      args: 0,
      run() {
        seen = args.fh;
        return 0;
      },
    },
  });
  const c = new FuseClient(server);
  c.send(Opcode.GETATTR, 1, [filled(fuse_getattr_in, { fh: 77 })]);
  equal(seen, 77);
  c.send(Opcode.GETATTR, 1);
  equal(seen, 0);
});

Deno.test("both sides take the older version and the flags that they share", () => {
  const agreed: [number, number][] = [];
  const request = new FuseRequest();
  const init = initOperation(request, {
    flags: InitFlag.ASYNC_READ | InitFlag.PARALLEL_DIROPS,
    maxWrite: 1 << 20,
    maxBackground: 64,
    agreed: (minor, flags) => void agreed.push([minor, flags]),
  });
  const c = new FuseClient(new FuseServer(request, { [Opcode.INIT]: init }));
  const flags = InitFlag.ASYNC_READ | InitFlag.MAX_PAGES | InitFlag.WRITEBACK_CACHE;
  const ask = (major: number, minor: number) =>
    c.send(Opcode.INIT, 0, [filled(fuse_init_in, { major, minor, flags, max_readahead: 9 })]);
  const out = new fuse_init_out(ask(7, 45).answer);
  deepEqual(
    [out.major, out.minor, out.flags, out.max_write, out.max_pages, out.max_readahead],
    [7, 38, InitFlag.ASYNC_READ | InitFlag.MAX_PAGES, 1 << 20, 256, 9],
  );
  equal(ask(7, 31).errno, 0);
  deepEqual(agreed.map(([minor]) => minor), [38, 31]);
  equal(new fuse_init_out(ask(8, 0).answer).major, 7);
  equal(ask(7, 27).errno, Errno.EPROTO);
  equal(ask(6, 99).errno, Errno.EPROTO);
  equal(agreed.length, 2);
  // 16 bytes, as before 7.36
  const old = filled(fuse_init_in, { major: 7, minor: 31 }).bytes().slice(0, 16);
  equal(c.send(Opcode.INIT, 0, [old]).answer.byteLength, fuse_init_out.size);
  equal(ANSWER, 16);
});
