import "../tests/c_library.ts";
import assert from "node:assert/strict";
import { readSome, writeAll } from "./descriptor_io.ts";
import { HostError } from "./errors.ts";
import { memoryFile } from "./memory_file.ts";
import { makePipe, OwnedDescriptor } from "./pipe.ts";

Deno.test("more than a pipe holds is written while somebody reads it in the same thread", async () => {
  using pipe = makePipe();
  const bytes = crypto.getRandomValues(new Uint8Array(65536));
  const much = new Uint8Array(1_000_000).map((_, i) => bytes[i % 65536]!);
  const writing = writeAll(pipe.writer.fd, much).then(() => pipe.writer[Symbol.dispose]());
  const buffer = new Uint8Array(10_000);
  let at = 0;
  for (let count = -1; count !== 0; at += count) {
    count = await readSome(pipe.reader.fd, buffer);
    assert.deepEqual(buffer.subarray(0, count), much.subarray(at, at + count));
  }
  await writing;
  assert.equal(at, much.length);
});

Deno.test("a wait to read or to write ends with its signal", async () => {
  using pipe = makePipe();
  const reading = new AbortController();
  const read = readSome(pipe.reader.fd, new Uint8Array(1), reading.signal);
  reading.abort();
  assert.equal(await read, 0);
  const writing = new AbortController();
  const written = writeAll(pipe.writer.fd, new Uint8Array(2 ** 20), writing.signal);
  writing.abort();
  await written;
});

Deno.test("a pipe that nobody reads is an error", async () => {
  using pipe = makePipe();
  pipe.reader[Symbol.dispose]();
  await assert.rejects(
    writeAll(pipe.writer.fd, new Uint8Array(1)),
    (error) => error instanceof HostError && error.code === "EPIPE",
  );
});

Deno.test("a file in memory is read from its start", async () => {
  using file = new OwnedDescriptor(memoryFile("test", new TextEncoder().encode("content")));
  const buffer = new Uint8Array(100);
  const count = await readSome(file.fd, buffer);
  assert.equal(new TextDecoder().decode(buffer.subarray(0, count)), "content");
  assert.equal(await readSome(file.fd, buffer), 0);
});
