import "../tests/c_library.ts";
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { addressOf } from "./address_of.ts";
import { TestFolder } from "../tests/sh_line.ts";
import { nothingOpenedSince, openFiles } from "../tests/leaks.ts";
import { Errno } from "./errno.ts";
import { HostError } from "./errors.ts";
import { closeFile } from "./files.ts";
import { peekSocket, receiveBytes, sendBytes, SocketVectors } from "./stream_socket.ts";
import { acceptClient, UnixListener } from "./unix_listener.ts";
import { connectUnixSocket, socketPair } from "./unix_socket.ts";

const isHostError = (errno: number, text: RegExp) => (error: unknown) =>
  error instanceof HostError && error.errno === errno && text.test(error.hint ?? error.message);

Deno.test("a listener takes clients, only its owner may connect, and it leaves no file", async () => {
  await using folder = new TestFolder();
  const before = openFiles();
  const path = `${folder.path}/s`;
  {
    using listener = new UnixListener(path);
    equal(Deno.lstatSync(path).mode! & 0o777, 0o600);
    equal(acceptClient(listener.fd), undefined);
    const client = connectUnixSocket(path);
    const server = acceptClient(listener.fd)!;
    equal(sendBytes(client, Uint8Array.of(1, 2, 3)), 3);
    const bytes = new Uint8Array(8);
    equal(peekSocket(server, bytes), 3);
    equal(receiveBytes(server, bytes.subarray(0, 2)), 2);
    equal(receiveBytes(server, bytes), 1);
    equal(bytes[0], 3);
    equal(receiveBytes(server, bytes), -Errno.EAGAIN);
    closeFile(client);
    equal(receiveBytes(server, bytes), 0);
    equal(sendBytes(server, bytes), -Errno.EPIPE);
    closeFile(server);
  }
  throws(() => Deno.lstatSync(path), Deno.errors.NotFound);
  nothingOpenedSince(before);
});

Deno.test("what a dead owner left is replaced; what lives, or is no socket, is not", async () => {
  await using folder = new TestFolder();
  const before = openFiles();
  const path = `${folder.path}/s`;
  const dead = new UnixListener(path);
  closeFile(dead.fd); // the file stays, as after a kill
  {
    using _alive = new UnixListener(path);
    throws(() => new UnixListener(path), isHostError(Errno.EADDRINUSE, /another process listens/));
    closeFile(connectUnixSocket(path));
  }
  Deno.writeTextFileSync(path, "mine");
  throws(() => new UnixListener(path), isHostError(Errno.EADDRINUSE, /no socket/));
  equal(Deno.readTextFileSync(path), "mine");
  throws(() => new UnixListener(`${folder.path}/no/s`), isHostError(Errno.ENOENT, /folder/));
  throws(() => new UnixListener(`/${"x".repeat(107)}`), TypeError);
  nothingOpenedSince(before);
});

Deno.test("a listener leaves the file of another that took its place", async () => {
  await using folder = new TestFolder();
  const path = `${folder.path}/s`;
  const first = new UnixListener(path);
  Deno.removeSync(path);
  using _second = new UnixListener(path);
  first[Symbol.dispose]();
  ok(Deno.lstatSync(path).isSocket);
});

Deno.test("scattered bytes are sent and received in order, and a full socket says EAGAIN", () => {
  const [a, b] = socketPair();
  const vectors = new SocketVectors();
  const memory = new Uint8Array(1000).map((_, i) => i);
  const address = addressOf(memory);
  vectors.set(0, address + 10, 5);
  vectors.set(1, address + 500, 3);
  equal(vectors.send(a, 2), 8);
  const target = new Uint8Array(new ArrayBuffer(8));
  const at = addressOf(target);
  vectors.set(0, at + 4, 4);
  vectors.set(1, at, 4);
  equal(vectors.receive(b, 2), 8);
  const expected = [...memory.subarray(10, 15), ...memory.subarray(500, 503)];
  deepEqual([...target], [...expected.slice(4), ...expected.slice(0, 4)]);
  vectors.set(0, address, 1000);
  let sent = 0;
  while ((sent = vectors.send(a, 1)) > 0);
  equal(sent, -Errno.EAGAIN);
  closeFile(b);
  equal(vectors.send(a, 1), -Errno.EPIPE);
  closeFile(a);
});
