import "../../../tests/c_library.ts";
import assert from "node:assert/strict";
import { addressOf } from "../../../ffi/address_of.ts";
import { HostError } from "../../../ffi/errors.ts";
import { closeFile, openFile, OpenFlag } from "../../../ffi/files.ts";
import { check, cString, errno, libc } from "../../../ffi/libc.ts";
import { connectUnixSocket } from "../../../ffi/unix_socket.ts";
import { PolledIoLoop } from "../../../tests/polled_io_loop.ts";
import { type HostEndConfig, type HostEndPlan, openHostEnd } from "./host_end.ts";
import { END, HostStream } from "./host_stream.ts";

const F_SETPIPE_SZ = 1031;
const SHUT_WR = 1;
/** How long a turn waits, and how many there are: far more than anything here takes. */
const TURN_MS = 100;
const MOST_TURNS = 200;
const encoder = new TextEncoder();

/** A stream on a loop, and a folder for its file. */
class Fixture implements Disposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "hvsh-port-" });
  readonly loop = new PolledIoLoop(() => 0);
  readonly failures: HostError[] = [];
  changes = 0;
  readonly #stack = new DisposableStack();
  #stream: HostStream | undefined;

  get stream(): HostStream {
    return this.#stream!;
  }

  path(name: string): string {
    return `${this.folder}/${name}`;
  }

  open(config: HostEndConfig): HostStream {
    return this.adopt(this.#stack.use(openHostEnd(config)).plan);
  }

  adopt(plan: HostEndPlan): HostStream {
    this.#stream = new HostStream(
      plan,
      this.loop,
      () => this.changes++,
      (error) => this.failures.push(error),
    );
    this.#stack.defer(() => this.stream.close());
    this.loop.poll();
    return this.stream;
  }

  /** Turns the loop until something is so. */
  until(done: () => boolean): void {
    for (let turns = 0; !done(); turns++) {
      assert.ok(turns < MOST_TURNS, `it does not come: ${done}`);
      this.loop.poll(TURN_MS);
    }
  }

  fifo(name: string): string {
    const path = this.path(name);
    check(libc.mkfifoat(-100, cString(path), 0o600), "mkfifo");
    return path;
  }

  /** A descriptor that is closed at the end. */
  keep(fd: number): number {
    this.#stack.defer(() => void libc.close(fd));
    return fd;
  }

  /** Everything that is there, up to the end or to where nothing is there now. */
  readAll(size = 4096): { text: string; end: boolean } {
    let text = "";
    for (;;) {
      const bytes = new Uint8Array(size);
      const got = this.stream.read(iovec(bytes), 1);
      if (got <= 0) return { text, end: got === END };
      text += new TextDecoder().decode(bytes.subarray(0, got));
    }
  }

  write(text: string | Uint8Array<ArrayBuffer>): number {
    const bytes = typeof text === "string" ? encoder.encode(text) : text;
    return this.stream.write(iovec(bytes), 1);
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
    this.loop[Symbol.dispose]();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

const kept: Uint8Array[] = [];

function iovec(bytes: Uint8Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  kept[0] = bytes; // the address below does not keep it
  const address = BigInt(addressOf(bytes));
  const words = new BigUint64Array([address, BigInt(bytes.length)]);
  return new Uint32Array(words.buffer);
}

function send(fd: number, text: string): void {
  const bytes = encoder.encode(text);
  assert.equal(Number(check(libc.write(fd, bytes, BigInt(bytes.length)), "write")), bytes.length);
}

function take(fd: number): string {
  const bytes = new Uint8Array(4096);
  const got = Number(check(libc.read(fd, bytes, 4096n), "read"));
  return new TextDecoder().decode(bytes.subarray(0, got));
}

Deno.test("a socket takes a client, hands bytes both ways, and then the next client", () => {
  using f = new Fixture();
  const stream = f.open({ mode: "socket", path: f.path("s") });
  assert.equal(Deno.statSync(f.path("s")).mode! & 0o777, 0o600);
  assert.ok(!stream.connected && !stream.takesOutput);

  const first = connectUnixSocket(f.path("s"));
  const second = f.keep(connectUnixSocket(f.path("s")));
  f.until(() => stream.connected);
  send(first, "to the guest");
  send(second, "from the next");
  f.until(() => stream.readable);
  assert.deepEqual(f.readAll(4), { text: "to the guest", end: false });
  assert.equal(f.write("to the client"), 13);
  assert.equal(take(first), "to the client");

  closeFile(first);
  f.until(() => stream.abandoned);
  assert.ok(!stream.takesOutput);
  assert.deepEqual(f.readAll(), { text: "", end: true });
  assert.ok(!stream.connected);
  f.until(() => stream.readable);
  assert.deepEqual(f.readAll(), { text: "from the next", end: false });
  assert.deepEqual(f.failures, []);
});

Deno.test("what a client sent before it left is there to be read, even after a write has failed", () => {
  using f = new Fixture();
  const stream = f.open({ mode: "socket", path: f.path("s") });
  const client = connectUnixSocket(f.path("s"));
  send(client, "last words");
  closeFile(client);
  f.until(() => stream.connected);
  assert.equal(f.write("nobody hears"), END);
  assert.deepEqual(f.readAll(), { text: "last words", end: true });
});

Deno.test("a client that has only ended its input still gets output", () => {
  using f = new Fixture();
  const stream = f.open({ mode: "socket", path: f.path("s") });
  const client = f.keep(connectUnixSocket(f.path("s")));
  send(client, "question");
  check(libc.shutdown(client, SHUT_WR), "shutdown");
  f.until(() => stream.readable);
  assert.deepEqual(f.readAll(), { text: "question", end: false });
  assert.ok(stream.connected);
  assert.equal(f.write("answer"), 6);
  assert.equal(take(client), "answer");
});

Deno.test("a client that half closed and then left makes room for the next", () => {
  using f = new Fixture();
  const stream = f.open({ mode: "socket", path: f.path("s") });
  const client = connectUnixSocket(f.path("s"));
  check(libc.shutdown(client, SHUT_WR), "shutdown");
  f.until(() => stream.readable);
  assert.deepEqual(f.readAll(), { text: "", end: false });
  closeFile(client);
  f.until(() => !stream.connected);
  f.keep(connectUnixSocket(f.path("s")));
  f.until(() => stream.connected);
});

Deno.test("a reader that does not read is waited for, without blocking, and no byte is lost", () => {
  using f = new Fixture();
  const stream = f.open({ mode: "socket", path: f.path("s") });
  const client = f.keep(connectUnixSocket(f.path("s")));
  f.until(() => stream.connected);
  f.loop.poll();
  const chunk = new Uint8Array(50_000).map((_, i) => i % 251);
  let put = 0;
  for (let got = f.write(chunk); got > 0; got = f.write(chunk)) put += got;
  assert.ok(put > 0 && put < 10_000_000);
  assert.equal(f.write(chunk), 0);
  const before = f.changes;
  let taken = 0;
  const buffer = new Uint8Array(65536);
  for (;;) {
    const got = Number(libc.read(client, buffer, 65536n));
    if (got <= 0) break;
    taken += got;
  }
  assert.equal(errno(), 11);
  assert.equal(taken, put);
  f.until(() => f.changes > before);
  assert.ok(f.write(chunk) > 0);
});

Deno.test("a stale socket file is replaced, and removed at the end", () => {
  using f = new Fixture();
  const path = f.path("s");
  {
    using stale = new DisposableStack();
    const end = stale.use(openHostEnd({ mode: "socket", path: `${path}.0` }));
    Deno.linkSync(`${path}.0`, path); // a name that nobody removes, as after a kill
    assert.throws(() => openHostEnd({ mode: "socket", path }), HostError);
    assert.equal(end.plan.kind, "listener");
  }
  openHostEnd({ mode: "socket", path })[Symbol.dispose]();
  assert.throws(() => Deno.lstatSync(path), Deno.errors.NotFound);
});

Deno.test("a file is read to its end, and one to write starts anew", () => {
  using f = new Fixture();
  Deno.writeTextFileSync(f.path("in"), "x".repeat(100_000));
  const input = f.open({ mode: "read", path: f.path("in") });
  assert.ok(input.connected && input.readable && !input.takesOutput);
  assert.deepEqual(f.readAll(), { text: "x".repeat(100_000), end: true });
  assert.ok(!input.connected);

  Deno.writeTextFileSync(f.path("out"), "old contents");
  const output = f.open({ mode: "write", path: f.path("out") });
  assert.ok(output.takesOutput && !output.readable);
  assert.equal(f.write("new"), 3);
  assert.equal(Deno.readTextFileSync(f.path("out")), "new");
});

Deno.test("a FIFO to read has no end before its first writer, and comes back with each next", () => {
  using f = new Fixture();
  const path = f.fifo("p");
  const stream = f.open({ mode: "read", path });
  assert.ok(stream.connected);
  assert.deepEqual(f.readAll(), { text: "", end: false });
  for (const text of ["first", "second"]) {
    const writer = openFile(path, OpenFlag.WRONLY | OpenFlag.NONBLOCK);
    send(writer, text);
    f.until(() => stream.readable);
    assert.deepEqual(f.readAll(), { text, end: false });
    assert.ok(stream.connected);
    closeFile(writer);
    f.until(() => stream.readable);
    assert.deepEqual(f.readAll(), { text: "", end: true });
    assert.ok(!stream.connected);
  }
});

Deno.test("a FIFO to write fills until its reader comes, and does not break when it leaves", () => {
  using f = new Fixture();
  const path = f.fifo("p");
  const stream = f.open({ mode: "write", path });
  f.loop.poll();
  let put = 0;
  const chunk = new Uint8Array(4096).fill(0x61);
  for (let got = f.write(chunk); got > 0; got = f.write(chunk)) put += got;
  assert.ok(put >= 4096);
  const reader = openFile(path, OpenFlag.RDONLY | OpenFlag.NONBLOCK);
  for (let left = put; left > 0;) left -= take(reader).length;
  f.until(() => f.write("more") === 4);
  closeFile(reader);
  assert.equal(f.write("kept"), 4);
  assert.ok(stream.connected);
  assert.deepEqual(f.failures, []);
});

Deno.test("a pipe whose reader has gone takes no more, and that is no failure", () => {
  using f = new Fixture();
  const [reader, writer] = pipe();
  const stream = f.adopt({ kind: "writer", fd: f.keep(writer), blocking: false, label: "pipe" });
  f.loop.poll();
  closeFile(reader);
  assert.equal(f.write("x"), END);
  assert.ok(!stream.connected);
  assert.deepEqual(f.failures, []);
});

Deno.test("a shared descriptor that blocks is never waited for", () => {
  using f = new Fixture();
  const [reader, writer] = pipe();
  f.keep(reader);
  f.keep(writer);
  check(libc.fcntl(writer, F_SETPIPE_SZ, 4096), "fcntl");
  const output = f.adopt({ kind: "writer", fd: writer, blocking: true, label: "pipe" });
  assert.equal(output.mostWrite, 4096);
  f.loop.poll();
  assert.equal(f.write(new Uint8Array(output.mostWrite)), 4096);
  assert.equal(f.write("x"), 0, "full");
  const input = f.adopt({ kind: "reader", fd: reader, blocking: true, label: "pipe" });
  f.until(() => input.readable);
  assert.equal(f.readAll().text.length, 4096);
  assert.deepEqual(f.readAll(), { text: "", end: false });
});

Deno.test("a disk that is full is told of once, and the end is gone", () => {
  using f = new Fixture();
  const stream = f.open({ mode: "write", path: "/dev/full" });
  f.loop.poll();
  assert.equal(f.write("x"), END);
  assert.equal(f.failures.length, 1);
  assert.equal(f.failures[0]!.code, "ENOSPC");
  assert.equal(f.failures[0]!.path, "/dev/full");
  assert.ok(!stream.connected);
  assert.equal(f.write("x"), 0);
});

Deno.test("what cannot be opened is told with its path", () => {
  using f = new Fixture();
  const cases: [HostEndConfig, string][] = [
    [{ mode: "read", path: f.path("missing") }, "ENOENT"],
    [{ mode: "read", path: f.folder }, "EISDIR"],
    [{ mode: "write", path: f.folder }, "EISDIR"],
    [{ mode: "write", path: f.path("no/file") }, "ENOENT"],
    [{ mode: "socket", path: f.path("no/socket") }, "ENOENT"],
  ];
  for (const [config, code] of cases) {
    assert.throws(() => openHostEnd(config), (error) => {
      assert.ok(error instanceof HostError);
      assert.equal(error.code, code);
      assert.equal(error.path, config.path);
      return true;
    });
  }
});

Deno.test("hvsh's own streams are opened without touching what they share", () => {
  using f = new Fixture();
  const before = libc.fcntl(2, 3, 0); // F_GETFL
  const stream = f.open({ mode: "write", fd: 2 });
  assert.ok(stream.takesOutput);
  assert.equal(libc.fcntl(2, 3, 0), before);
});

function pipe(): [number, number] {
  const path = Deno.makeTempDirSync();
  check(libc.mkfifoat(-100, cString(`${path}/p`), 0o600), "mkfifo");
  const both = openFile(`${path}/p`, OpenFlag.RDWR);
  const reader = openFile(`${path}/p`, OpenFlag.RDONLY);
  const writer = openFile(`${path}/p`, OpenFlag.WRONLY);
  closeFile(both);
  Deno.removeSync(path, { recursive: true });
  return [reader, writer];
}
