import { deepEqual, equal, rejects } from "node:assert/strict";
import fc from "fast-check";
import { DocumentError } from "../ffi/errors.ts";
import { type JsonObject, MAX_OBJECT_BYTES, readObjects } from "./document_input.ts";

const encoder = new TextEncoder();

async function* chunks(bytes: Uint8Array, size: number) {
  for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
}

async function read(input: string | Uint8Array, size = 65536): Promise<JsonObject[]> {
  const bytes = typeof input === "string" ? encoder.encode(input) : input;
  return await Array.fromAsync(readObjects(chunks(bytes, size)));
}

async function failure(input: string | Uint8Array, size?: number): Promise<DocumentError> {
  try {
    await read(input, size);
  } catch (error) {
    if (error instanceof DocumentError) return error;
    throw error;
  }
  throw new Error("It was taken");
}

Deno.test("objects come a line each, laid out over lines, or one behind the other", async () => {
  deepEqual(await read('{"vm":1}\n{"vm":2}\n'), [{ vm: 1 }, { vm: 2 }]);
  deepEqual(await read('{\n  "vm": 1,\n  "a": ["}"]\n}\n'), [{ vm: 1, a: ["}"] }]);
  deepEqual(await read(' {"a":"\\"{"}{"b":{}}'), [{ a: '"{' }, { b: {} }]);
  deepEqual(await read("\r\n \n"), []);
});

Deno.test("objects survive any cut into chunks", async () => {
  const objects = fc.array(fc.dictionary(fc.string(), fc.jsonValue({ noUnicodeString: false })));
  await fc.assert(
    fc.asyncProperty(objects, fc.integer({ min: 1, max: 40 }), async (objects, size) => {
      const texts = objects.map((object) => JSON.stringify(object));
      const back = await read(texts.join("\n"), size);
      deepEqual(back.map((object) => JSON.stringify(object)), texts);
    }),
  );
});

Deno.test("an object is given before the next one has come", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const objects = readObjects(readable);
  const first = objects.next();
  await writer.write(encoder.encode('{"vm":1}\n'));
  deepEqual((await first).value, { vm: 1 });
  await writer.close();
  equal((await objects.next()).done, true);
});

Deno.test("what is not JSON is named by line, column and word", async () => {
  const cases: [string, string][] = [
    ['{"vm":1}\n{"cpus":NaN}', 'line 2, column 9: it is not JSON at "NaN}"'],
    ['{"vm":1,}', 'line 1, column 9: it is not JSON at "}"'],
    ['{\n  "a": 1\n  "b": 2\n}', 'line 3, column 3: it is not JSON at ""b":"'],
    ['{"cpus":-Infinity}', 'line 1, column 9: it is not JSON at "-Infinity}"'],
  ];
  for (const [text, message] of cases) {
    equal((await failure(text)).message, `VM document on stdin, ${message}`);
  }
});

Deno.test("what is not UTF-8 is named by its place", async () => {
  const bytes = new Uint8Array([...encoder.encode('{"name":"ä'), 0xc3, 0x28, 0x22, 0x7d]);
  const { message } = await failure(bytes, 3);
  equal(message, "VM document on stdin, line 1, column 11: the byte 0xc3 is not UTF-8");
});

Deno.test("an object that is cut off says where it began", async () => {
  const { message, hint } = await failure('\n {"vm":1,"name":"web');
  equal(
    message,
    "VM document on stdin ends in the middle of the object that starts at line 2, column 2",
  );
  equal(hint, "did the stage before fail?");
});

Deno.test("100 MB in one object are refused without being read", async () => {
  let given = 0;
  async function* flood() {
    yield encoder.encode('{"vm":1,"name":"');
    const chunk = new Uint8Array(65536).fill(0x61);
    for (; given < 100e6; given += chunk.length) yield chunk;
  }
  await rejects(Array.fromAsync(readObjects(flood())), /is longer than 16 MiB/);
  equal(given < MAX_OBJECT_BYTES + 2 * 65536, true);
});

Deno.test("something else than a document is named, with what to do", async () => {
  const tar = new Uint8Array(1024);
  tar.set(encoder.encode("vm.json"));
  tar.set(encoder.encode("ustar"), 257);
  const bootSector = new Uint8Array(512).fill(0x90);
  bootSector.set([0x55, 0xaa], 510);
  const kernel = new Uint8Array(1024);
  kernel.set([0x55, 0xaa], 510);
  kernel.set(encoder.encode("HdrS"), 0x202);
  const cases: [Uint8Array | string, RegExp, string | undefined][] = [
    [new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 4]), /compressed with zstd/, "zstd -d |"],
    [new Uint8Array([0x1f, 0x8b, 8, 0]), /compressed with gzip/, "gzip -d |"],
    [tar, /a tar archive/, "tar xO vm.json |"],
    ["\x7fELF\x02\x01\x01", /a guest image/, "hvsh create | hvsh kernel FILE"],
    [kernel, /a guest image/, "hvsh create | hvsh kernel FILE"],
    [bootSector, /a guest image/, "hvsh create | hvsh flat FILE"],
    [new Uint8Array([0, 1, 2, 3]), /binary data of no kind known here/, undefined],
    ['[{"vm":1}]', /a JSON array/, "jq -c '.[]' |"],
    ["sh: jq: not found\n", /it starts with "sh: jq: not found"/, "did the stage before fail?"],
  ];
  for (const [input, message, hint] of cases) {
    for (const size of [1, 65536]) {
      const error = await failure(input, size);
      equal(message.test(error.message), true, error.message);
      equal(error.hint, hint);
    }
  }
});

Deno.test("any bytes at all give objects or a DocumentError", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (bytes) => {
    const input = new Uint8Array([0x7b, ...bytes]);
    for (const part of [bytes, input]) {
      await read(part, 7).catch((error) => {
        if (!(error instanceof DocumentError)) throw error;
      });
    }
  }));
});
