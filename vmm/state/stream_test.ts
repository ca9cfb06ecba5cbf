/** What is written is read; what is not what was written is refused. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { DocumentError } from "../../ffi/errors.ts";
import { TestFolder } from "../../tests/sh_line.ts";
import { StreamReader, type StreamTarget } from "./stream_reader.ts";
import { END, type StreamSink, StreamWriter } from "./stream_writer.ts";
import { BLOCK, TarHeaderWriter } from "./tar_header.ts";

type Records = readonly (readonly [name: string, content: Uint8Array<ArrayBuffer>])[];

const TIME = Date.UTC(2026, 0, 2);
const MEMORY = 3 * BLOCK;

/** Keeps what is written, which may change afterwards. */
class Kept implements StreamSink {
  readonly parts: Uint8Array[] = [];
  write(pieces: readonly Uint8Array[]): void {
    this.parts.push(...pieces.map((piece) => piece.slice()));
  }
  get bytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.parts.reduce((sum, { length }) => sum + length, 0));
    this.parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
    return bytes;
  }
}

async function streamOf(records: Records): Promise<Uint8Array<ArrayBuffer>> {
  const sink = new Kept();
  const writer = new StreamWriter(sink, TIME);
  for (const [name, content] of records) await writer.record(name, content);
  await writer.end();
  assert.equal(writer.written, sink.bytes.length);
  return sink.bytes;
}

/** Takes what comes, its memory being a few blocks. */
class Taken implements StreamTarget {
  readonly ram = new Uint8Array(MEMORY);
  readonly records: [string, Uint8Array][] = [];
  memory(name: string, size: number): Uint8Array {
    const offset = parseInt(name.slice("mem/ram0/".length), 16);
    if (!name.startsWith("mem/ram0/") || !(offset + size <= MEMORY)) {
      throw new DocumentError(`${name} has no place`);
    }
    return this.ram.subarray(offset, offset + size);
  }
  record(name: string, content: Uint8Array): void {
    this.records.push([name, content]);
  }
}

function read(bytes: Uint8Array, { edited = false, chunk = Infinity } = {}): Taken {
  const taken = new Taken();
  const reader = new StreamReader(taken, { edited });
  let used = 0;
  for (let at = 0; at < bytes.length; at += chunk) {
    used += reader.push(bytes.subarray(at, at + chunk));
  }
  reader.close();
  assert.ok(reader.done);
  assert.ok(used <= bytes.length);
  return taken;
}

const text = (value: string) => new TextEncoder().encode(value);
const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));

const SMALL: Records = [
  ["vm.json", text('{"vm":1}\n')],
  ["mem/ram0/0x0000000000", random(BLOCK)],
  ["mem/ram0/0x0000000200", random(700)],
  ["cpu/0.json", text("{}")],
  ["board.json", text("")],
  ["dev/serial0.json", random(BLOCK + 1)],
];

/** The record that lies at each byte, as an error may call it, and the one before it. */
function namesAt(stream: Uint8Array): string[][] {
  const names: string[][] = [];
  let last = "comes first";
  for (const [name, content] of [...SMALL, [END, undefined] as const]) {
    const size = content?.length ?? END_BYTES;
    const length = BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    for (let i = 0; i < length; i++) names.push([name, last]);
    last = name;
  }
  while (names.length < stream.length) names.push([END]);
  assert.equal(names.length, stream.length);
  return names;
}

const END_BYTES =
  text(JSON.stringify({ records: 6, digest: "01234567" }, undefined, 1) + "\n").length;

Deno.test("records are read as they were written, memory into its place", async () => {
  const stream = await streamOf(SMALL);
  const { records, ram } = read(stream);
  const isMemory = ([name]: readonly [string, unknown]) => name.startsWith("mem/");
  assert.deepEqual(records, SMALL.filter((record) => !isMemory(record)));
  assert.deepEqual(ram.subarray(0, BLOCK), SMALL[1]![1]);
  assert.deepEqual(ram.subarray(BLOCK, BLOCK + 700), SMALL[2]![1]);
  assert.ok(ram.subarray(BLOCK + 700).every((byte) => byte === 0));
});

Deno.test("records of any number, size and name are read whatever pieces they come in", async () => {
  const name = fc.stringMatching(
    /^(vm\.json|cpu\/[0-9]{1,3}\.json|dev\/[a-z][a-z0-9]{0,90}\.json)$/,
  );
  const records = fc.array(fc.tuple(name, fc.uint8Array({ maxLength: 3000 })), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(records, fc.integer({ min: 1, max: 4000 }), async (all, chunk) => {
      const stream = await streamOf(all as unknown as Records);
      const { records } = read(stream, { chunk });
      assert.deepEqual(
        records.map(([name, bytes]) => [name, [...bytes]]),
        all.map(([name, bytes]) => [name, [...bytes]]),
      );
    }),
  );
  const many = Array.from({ length: 2000 }, (_, i) => [`cpu/${i}.json`, random(i % 600)] as const);
  assert.deepEqual(read(await streamOf(many)).records, many);
});

Deno.test("a later record of one name comes after the first, and memory is overwritten", async () => {
  const [first, second] = [random(BLOCK), random(BLOCK)];
  const place = "mem/ram0/0x0000000200";
  const stream = await streamOf([[place, first], ["board.json", text("1")], [place, second], [
    "board.json",
    text("2"),
  ]]);
  const { ram, records } = read(stream);
  assert.deepEqual(ram.subarray(BLOCK, 2 * BLOCK), second);
  assert.deepEqual(records.map(([name]) => name), ["board.json", "board.json"]);
});

Deno.test("bytes behind the end are not the stream's", async () => {
  const stream = await streamOf(SMALL);
  const reader = new StreamReader(new Taken());
  const more = new Uint8Array(stream.length + 100).fill(0x55);
  more.set(stream);
  assert.equal(reader.push(more), stream.length);
  assert.ok(reader.done);
  assert.equal(reader.push(more), 0);
  reader.close();
});

Deno.test("a stream of which any bit has changed is refused by a record's name", async () => {
  const stream = await streamOf(SMALL);
  const names = namesAt(stream);
  for (let at = 0; at < stream.length; at++) {
    const bit = 1 << (at * 5 % 8);
    stream[at]! ^= bit;
    assert.throws(() => read(stream), (error: Error) => {
      assert.ok(error instanceof DocumentError, error.stack);
      assert.ok(names[at]!.some((name) => error.message.includes(name)), `${at}: ${error.message}`);
      return true;
    });
    stream[at]! ^= bit;
  }
  read(stream);
});

Deno.test("a stream that is cut at any byte is refused by a record's name", async () => {
  const stream = await streamOf(SMALL);
  const names = namesAt(stream);
  for (let length = 0; length < stream.length; length++) {
    assert.throws(() => read(stream.subarray(0, length)), (error: Error) => {
      assert.ok(error instanceof DocumentError, error.stack);
      assert.match(error.message, /^The stream is cut off /);
      const near = [
        ...names[length]!,
        ...names[Math.max(0, length - 1)]!,
        "before its first record",
      ];
      assert.ok(near.some((name) => error.message.includes(name)), `${length}: ${error.message}`);
      return true;
    });
  }
});

/** The blocks of one record. */
function record(stream: Uint8Array, name: string): Uint8Array {
  const names = namesAt(stream).map(([own]) => own);
  return stream.subarray(names.indexOf(name), names.lastIndexOf(name) + 1);
}

Deno.test("a stream with records left out, twice, in another order or from another stream is refused", async () => {
  const stream = await streamOf(SMALL);
  const other = await streamOf(
    SMALL.map(([name, content]) => [name, content.map((byte) => ~byte)]),
  );
  const all = SMALL.map(([name]) => record(stream, name));
  const tail = stream.subarray(all.reduce((sum, { length }) => sum + length, 0));
  const joined = (parts: Uint8Array[]) => {
    const kept = new Kept();
    kept.write([...parts, tail]);
    return kept.bytes;
  };
  assert.deepEqual(joined(all), stream);
  const mixed: Uint8Array[][] = [
    ...all.map((_, i) => all.toSpliced(i, 1)),
    ...all.map((part, i) => all.toSpliced(i, 0, part)),
    ...all.slice(1).map((part, i) => all.toSpliced(i, 2, part, all[i]!)),
    ...SMALL.flatMap(([name, { length }], i) =>
      length === 0 ? [] : [all.toSpliced(i, 1, record(other, name))]
    ),
    [],
  ];
  for (const parts of mixed) {
    assert.throws(
      () => read(joined(parts)),
      (error: Error) => error instanceof DocumentError && error.message.startsWith(`${END}: `),
    );
  }
});

/** A stream of one record, by hand. */
function byHand(name: string, content: Uint8Array, change?: (header: Uint8Array) => void) {
  const header = new Uint8Array(BLOCK);
  new TarHeaderWriter(0).write(header, name, content.length, 0);
  if (change !== undefined) {
    change(header);
    // The sum again, and no CRC, as other programs have it.
    header.fill(0, 265, 297);
    header.fill(0x20, 148, 156);
    const sum = header.reduce((sum, byte) => sum + byte, 0);
    header.set(text(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  }
  const kept = new Kept();
  kept.write([header, content, new Uint8Array((BLOCK - content.length % BLOCK) % BLOCK)]);
  return kept.bytes;
}

Deno.test("names that are no records' are refused, in an edited stream too", () => {
  const wrong = [
    "../a",
    "/etc/passwd",
    "a/../b",
    "a//b",
    "a/./b",
    "..",
    "a/..",
    "A",
    "",
    "a b",
    "a\n",
    "ü",
  ];
  for (const name of wrong) {
    assert.throws(
      () => read(byHand(name, text("x"), () => {}), { edited: true }),
      (error: Error) => {
        assert.ok(error instanceof DocumentError, error.stack);
        assert.match(error.message, /a record named/);
        return true;
      },
    );
  }
});

Deno.test("what lies about its size, is no file or has no CRC is refused", () => {
  const size = (value: string) => (header: Uint8Array) => header.set(text(value), 124);
  const typeflag = (value: string) => (header: Uint8Array) => header.set(text(value), 156);
  const cases: [Uint8Array, boolean, RegExp][] = [
    [byHand("vm.json", text("x"), () => {}), false, /^vm\.json has no CRC/],
    [byHand("vm.json", text("x"), size("37777777777\0")), true, /^vm\.json has 4294967295 bytes/],
    [byHand("vm.json", text("x"), size("777777777777")), true, /^vm\.json has 68719476735 bytes/],
    [
      byHand("mem/ram0/0x0", text("x"), size("00001000000\0")),
      true,
      /^mem\/ram0\/0x0 has no place/,
    ],
    [
      byHand("vm.json", text("x"), size("\x80\0\0\0\0\0\0\0\0\0\0\x01")),
      true,
      /has a header with no size/,
    ],
    [byHand("vm.json", text("x"), size("-0000000001\0")), true, /has a header with no size/],
    [byHand("vm.json", text("x"), typeflag("2")), true, /"vm\.json" is no plain file/],
    [byHand("vm.json", text("x"), typeflag("L")), true, /"vm\.json" is no plain file/],
    [byHand("vm.json", text(""), typeflag("5")), false, /"vm\.json" is no plain file/],
    [byHand("x", new Uint8Array(65537), typeflag("x")), true, /"x" is no plain file/],
    [new Uint8Array(10 * BLOCK), true, /ends after nothing, without end\.json/],
    [text("not a stream at all".repeat(100)), false, /^What comes first is no header of a tar/],
    [text('{"vm":1}'.repeat(100)), true, /^What comes first is a VM document/],
  ];
  for (const [stream, edited, says] of cases) {
    assert.throws(() => read(stream, { edited }), (error: Error) => {
      assert.ok(error instanceof DocumentError, error.stack);
      assert.match(error.message, says);
      return true;
    });
  }
});

Deno.test("an end that is none is refused by its name", async () => {
  for (
    const content of [
      "",
      "{",
      "null",
      "5",
      "[]",
      '{"records":1}',
      '{"records":-1,"digest":1}',
      '"x"',
    ]
  ) {
    const sink = new Kept();
    const writer = new StreamWriter(sink, TIME);
    await writer.record(END, text(content));
    await writer.flush();
    assert.throws(
      () => read(sink.bytes),
      (error: Error) => error instanceof DocumentError && error.message.startsWith(END),
      content,
    );
  }
});

Deno.test("any bytes at all end or are refused", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 3 * BLOCK }), fc.boolean(), (bytes, edited) => {
    try {
      read(bytes, { edited });
      assert.fail("There was no end");
    } catch (error) {
      assert.ok(error instanceof DocumentError);
    }
  }));
});

/** Runs this machine's tar. */
function tar(folder: string, ...args: string[]): string {
  const { success, stdout, stderr } = new Deno.Command("tar", { args, cwd: folder }).outputSync();
  assert.deepEqual([success, new TextDecoder().decode(stderr)], [true, ""]);
  return new TextDecoder().decode(stdout);
}

Deno.test("tar lists a stream and unpacks it, and what tar packs is read if it may be edited", async () => {
  await using folder = new TestFolder();
  const { path } = folder;
  Deno.writeFileSync(`${path}/vm.tar`, await streamOf(SMALL));
  const listed = tar(path, "tf", "vm.tar").trimEnd().split("\n");
  assert.deepEqual(listed, [...SMALL.map(([name]) => name), END]);
  assert.match(
    tar(path, "tvf", "vm.tar"),
    /^-rw------- crc32-[0-9a-f]{8}\/0 +9 2026-01-02 00:00 vm\.json$/m,
  );
  Deno.mkdirSync(`${path}/vm`);
  tar(path, "xf", "vm.tar", "-C", "vm");
  for (const [name, content] of SMALL) {
    assert.deepEqual(Deno.readFileSync(`${path}/vm/${name}`), content, name);
  }
  Deno.writeTextFileSync(`${path}/vm/cpu/0.json`, '{"edited":1}');
  for (const format of ["ustar", "gnu", "v7", "oldgnu", "posix"]) {
    const order = ["vm.json", "mem", "cpu", "board.json", "dev", END];
    tar(path, "cf", `${format}.tar`, `--format=${format}`, "-C", "vm", ...order);
    const bytes = Deno.readFileSync(`${path}/${format}.tar`);
    assert.throws(() => read(bytes), DocumentError);
    if (format === "v7") continue; // it has no magic
    const { records, ram } = read(bytes, { edited: true });
    assert.deepEqual(ram.subarray(0, BLOCK), SMALL[1]![1]);
    const found = new Map(
      records.map(([name, content]) => [name, new TextDecoder().decode(content)]),
    );
    assert.equal(found.get("cpu/0.json"), '{"edited":1}', format);
  }
});
