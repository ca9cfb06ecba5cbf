import assert from "node:assert/strict";
import { Errno } from "../../ffi/errno.ts";
import { type Access, type Asker, FileError, PollEvent } from "./node.ts";
import { OpenStream, type StreamOptions } from "./stream_file.ts";

const BOTH: Access = { read: true, write: true, nonBlocking: false };
const READING: Access = { ...BOTH, write: false };
const ASKER: Asker = { pid: 0, signal: new AbortController().signal };
const MANY = { highWaterMark: 100 };
const encoder = new TextEncoder();

/** A stream whose bytes the test gives. */
function stream(access: Access, more: Partial<StreamOptions> = {}) {
  const { readable, writable } = new TransformStream<string, string>(undefined, MANY, MANY);
  const writer = writable.getWriter();
  const seen: number[] = [];
  const opened = new OpenStream(async function* () {
    for await (const said of readable) {
      if (said === "fail") throw new Error("gone");
      yield said === "current" ? said : encoder.encode(said);
    }
  }, {
    access,
    came: (bytes) => seen.push(bytes),
    closed: () => {},
    failure: (error) => new FileError(Errno.ESRCH, `${error}`),
    ...more,
  });
  const read = async (size = 4096, asker = ASKER) =>
    new TextDecoder().decode(await opened.read(0n, size, asker));
  return { opened, writer, read, seen };
}

Deno.test("one who reads and writes waits for what comes, up to the end", async () => {
  const { opened, writer, read } = stream(BOTH);
  const waiting = read();
  await writer.write("current");
  await writer.write("ab");
  assert.equal(await waiting, "ab");
  await writer.write("cdef");
  assert.equal(await read(3), "cde");
  assert.equal(await read(3), "f");
  const last = read();
  await writer.close();
  assert.equal(await last, "");
  assert.equal(opened.poll(), PollEvent.IN | PollEvent.OUT | PollEvent.HUP);
  opened.close();
});

Deno.test("one who only reads comes to an end where nothing more is there, and reads on there", async () => {
  const { opened, writer, read, seen } = stream(READING);
  const first = read(1);
  await writer.write("ab");
  await writer.write("current");
  assert.equal(await first, "a");
  await writer.write("x"); // it has not been there when he began
  assert.equal(await read(), "b");
  assert.equal(await read(), "");
  assert.equal(await read(), "x");
  assert.equal(await read(), "");
  assert.deepEqual(seen, [2, 3]);
  opened.close();
  await writer.close();
});

Deno.test("a signal ends a wait, and one who does not block does not", async () => {
  const { opened, writer, read } = stream(BOTH);
  await writer.write("current");
  const interrupt = new AbortController();
  const waiting = read(1, { pid: 0, signal: interrupt.signal });
  interrupt.abort();
  await assert.rejects(waiting, { errno: Errno.EINTR });
  opened.close();
  await writer.close();

  const other = stream({ ...BOTH, nonBlocking: true });
  await assert.rejects(other.read(), { errno: Errno.EAGAIN });
  other.opened.close();
  await other.writer.close();
});

Deno.test("who polls is told once of what has come", async () => {
  const { opened, writer, read } = stream(BOTH);
  const woken = Promise.withResolvers<void>();
  assert.equal(opened.poll(woken.resolve), PollEvent.OUT);
  await writer.write("a");
  await woken.promise;
  assert.equal(opened.poll(), PollEvent.IN | PollEvent.OUT);
  assert.equal(await read(), "a");
  assert.equal(opened.poll(), PollEvent.OUT);
  opened.close();
  await writer.close();
});

Deno.test("what fails is told behind what has come before", async () => {
  const { opened, writer, read } = stream(BOTH);
  await writer.write("a");
  await writer.write("fail");
  assert.equal(await read(), "a");
  await assert.rejects(read(), { errno: Errno.ESRCH });
  opened.close();
});

Deno.test("a source waits for a reader who does not read", async () => {
  let given = 0;
  const opened = new OpenStream(async function* () {
    for (;;) {
      given++;
      yield new Uint8Array(2 ** 16);
    }
  }, {
    access: BOTH,
    came: () => {},
    closed: () => {},
    failure: () => new FileError(Errno.EIO),
  });
  await opened.ready(ASKER);
  assert.ok(given < 20, `${given} pieces`);
  for (let read = 0; read < 2 ** 22;) read += (await opened.read(0n, 2 ** 20, ASKER)).length;
  opened.close();
});
