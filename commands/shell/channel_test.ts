import assert from "node:assert/strict";
import { DocumentError } from "../../ffi/errors.ts";
import { Channel, ReaderGone } from "./channel.ts";

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("objects pass a channel untouched and in order", async () => {
  const channel = new Channel();
  const objects = Array.from({ length: 100 }, (_, i) => ({ i, unknown: Symbol(`${i}`) }));
  const writer = (async () => {
    for (const object of objects) await channel.emit(object);
    await channel.close();
  })();
  let i = 0;
  for await (const object of channel.objects()) assert.equal(object, objects[i++]);
  await writer;
  assert.equal(i, 100);
});

Deno.test("a writer waits for a reader that is slower", async () => {
  const channel = new Channel();
  let written = 0;
  const writer = (async () => {
    for (; written < 1000; written++) await channel.emit(written);
    await channel.close();
  })();
  let read = 0;
  for await (const _ of channel.objects()) {
    read++;
    assert.ok(written - read <= 20, `${written} written, ${read} read`);
  }
  await writer;
  assert.equal(read, 1000);
});

Deno.test("bytes become objects and objects become lines of JSON", async () => {
  const inwards = new Channel();
  await inwards.write(encode('{"a":1}\n{"b"'));
  await inwards.write(encode(":2}\n"));
  await inwards.emit({ c: 3 });
  await inwards.print('{"d":4}\n');
  await inwards.close();
  assert.deepEqual(await Array.fromAsync(inwards.objects()), [{ a: 1 }, { b: 2 }, { c: 3 }, {
    d: 4,
  }]);

  const outwards = new Channel();
  await outwards.emit({ a: 1 });
  await outwards.print("text\n");
  await outwards.close();
  const text = await new Response(ReadableStream.from(outwards.bytes())).text();
  assert.equal(text, '{"a":1}\ntext\n');
});

Deno.test("bytes that are no objects are refused", async () => {
  const channel = new Channel();
  await channel.print("ls: no such file\n");
  await channel.close();
  await assert.rejects(Array.fromAsync(channel.objects()), DocumentError);
});

Deno.test("a writer is told when its reader leaves", async () => {
  const channel = new Channel();
  const writer = (async () => {
    for (let i = 0;; i++) await channel.emit(i);
  })();
  for await (const _ of channel.objects()) break;
  await assert.rejects(writer, ReaderGone);
  assert.ok(channel.gone.aborted);
});

Deno.test("a reader that waits ends when its channel is cancelled", async () => {
  const channel = new Channel();
  const reader = Array.fromAsync(channel.bytes());
  channel.cancel();
  assert.deepEqual(await reader, []);
});
