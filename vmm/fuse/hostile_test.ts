/**
 * A client that keeps to no rule: whatever it sends, the server lives, answers with what a reply may
 * be, touches nothing outside of its folder, and closes all that it opened.
 */
import assert, { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import "../../tests/c_library.ts";
import { BufferMessage, type FuseClient, ServedFolder } from "../../tests/fuse_client.ts";
import { filesBelow, nothingOpenedSince, openFiles } from "../../tests/leaks.ts";
import { TestFolder } from "../../tests/sh_line.ts";
import { fuse_fallocate_in, fuse_out_header } from "./messages.ts";
import { Opcode } from "./protocol.ts";
import { MALFORMED } from "./server.ts";

/** Each operation as it should be: bytes of its arguments, how many names; the often used ones twice. */
const SHAPES: readonly (readonly [opcode: number, args: number, names: number])[] = [
  ...Object.values(Opcode).map((opcode) => [opcode, 16, 0] as const),
  ...Array(4).fill([Opcode.GETATTR, 16, 0]),
  ...Array(6).fill([Opcode.LOOKUP, 0, 1]),
  ...Array(4).fill([Opcode.OPEN, 8, 0]),
  ...Array(2).fill([Opcode.OPENDIR, 8, 0]),
  ...Array(3).fill([Opcode.READ, 40, 0]),
  ...Array(3).fill([Opcode.WRITE, 40, 1]),
  ...Array(3).fill([Opcode.READDIR, 40, 0]),
  ...Array(3).fill([Opcode.READDIRPLUS, 40, 0]),
  ...Array(3).fill([Opcode.CREATE, 16, 1]),
  ...Array(2).fill([Opcode.RENAME2, 16, 2]),
  [Opcode.FORGET, 8, 0],
  [Opcode.BATCH_FORGET, 40, 0],
  [Opcode.SETATTR, 88, 0],
  [Opcode.SETATTR, 88, 0],
  [Opcode.SYMLINK, 0, 2],
  [Opcode.MKNOD, 16, 1],
  [Opcode.MKDIR, 8, 1],
  [Opcode.UNLINK, 0, 1],
  [Opcode.RMDIR, 0, 1],
  [Opcode.RENAME, 8, 2],
  [Opcode.LINK, 8, 1],
  [Opcode.RELEASE, 24, 0],
  [Opcode.RELEASEDIR, 24, 0],
  [Opcode.FSYNC, 16, 0],
  [Opcode.FLUSH, 24, 0],
  [Opcode.LSEEK, 24, 0],
  [Opcode.FALLOCATE, 32, 0],
];
/** What there is, looked up in this order: nodes 2, 3, … */
const NAMES = ["a", "d", "l", "p", "up"];
const MOST_SIZE = 1 << 22;
const MOST_WORDS = 22;
/** The upper half of `fuse_fallocate_in.length`. */
const LENGTH_HIGH = fuse_fallocate_in.offsets.length + 4;

/** Numbers that are often right, and those that are often mistaken for right. */
const word = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 0, max: 6 }) },
  { weight: 2, arbitrary: fc.constantFrom(0o644, 0o100644, 0o10644, 0o20644, 0o1102, 512, 4096) },
  { weight: 1, arbitrary: fc.constantFrom(2 ** 31, 2 ** 32 - 1, 2 ** 20, 2 ** 16, MOST_SIZE) },
  { weight: 1, arbitrary: fc.nat({ max: 2 ** 32 - 1 }) },
);
/** An upper half, or a field that is mostly 0. */
const high = fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: word });
const words = fc.array(fc.tuple(word, high), {
  minLength: MOST_WORDS / 2,
  maxLength: MOST_WORDS / 2,
});
const name = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...NAMES, "b", "new") },
  {
    weight: 2,
    arbitrary: fc.constantFrom(".", "..", "", "/", "../secret", "/etc", "x".repeat(300)),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 20 }) },
);

/** A request whose parts are plausible, with some of its bytes changed. */
const request = fc.record({
  shape: fc.constantFrom(...SHAPES),
  nodeid: fc.oneof(
    { weight: 15, arbitrary: fc.constant(1) },
    { weight: 15, arbitrary: fc.integer({ min: 1, max: 8 }) },
    { weight: 1, arbitrary: fc.maxSafeNat() },
  ),
  words,
  names: fc.tuple(name, name),
  room: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(160, 1000, 4112, 70000) },
    { weight: 1, arbitrary: fc.constantFrom(0, 8, 15, 16, 17, 120) },
  ),
  changes: fc.oneof(
    { weight: 8, arbitrary: fc.constant([]) },
    {
      weight: 1,
      arbitrary: fc.array(fc.tuple(fc.nat({ max: 200 }), fc.nat({ max: 255 })), { maxLength: 4 }),
    },
  ),
  cut: fc.oneof(
    { weight: 16, arbitrary: fc.constant(10000) },
    { weight: 1, arbitrary: fc.nat({ max: 200 }) },
  ),
});

type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

function bytesOf(client: FuseClient, { shape, nodeid, words, names, changes, cut }: Request) {
  const [opcode, length, count] = shape;
  const args = new Uint8Array(new Uint32Array(words.flat()).buffer, 0, length);
  // The disk under the test is everybody's: what is allocated stays below 4 GiB.
  if (opcode === Opcode.FALLOCATE) args.fill(0, LENGTH_HIGH, LENGTH_HIGH + 4);
  const bytes = client.message(opcode, nodeid, args, ...names.slice(0, count));
  for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
  return bytes.slice(0, cut);
}

function send(client: FuseClient, bytes: Uint8Array, room: number): void {
  const message = new BufferMessage(bytes, room);
  const written = client.server.handle(message);
  if (written === MALFORMED) {
    assert.ok(bytes.length < 40 || room < 16);
    return;
  }
  assert.ok(written === 0 || (written >= 16 && written <= room), `${written} of ${room}`);
  if (written === 0) return;
  const header = new fuse_out_header(new DataView(message.reply.buffer));
  equal(header.len, written);
  assert.ok(header.error <= 0 && header.error > -4096);
  deepEqual(message.reply.slice(8, 16), bytes.slice(8, 16), "the request's own number");
}

/** What must stay as it is, beside the shared folder. */
function outside(path: string): string {
  const { mtime, mode, size } = Deno.statSync(`${path}/secret`);
  const names = [...Deno.readDirSync(path)].map(({ name }) => name).sort();
  const text = Deno.readTextFileSync(`${path}/secret`);
  return JSON.stringify([names, mtime, mode, size, text]);
}

function prepared(host: TestFolder): string {
  const shared = `${host.path}/shared`;
  Deno.mkdirSync(`${shared}/d`, { recursive: true });
  host.write("secret", "secret");
  host.write("shared/a", "a".repeat(10000));
  host.write("shared/d/b", "b");
  Deno.symlinkSync("../secret", `${shared}/l`);
  Deno.symlinkSync("..", `${shared}/up`);
  new Deno.Command("mkfifo", { args: [`${shared}/p`] }).outputSync();
  return shared;
}

for (const readonly of [true, false]) {
  Deno.test(`whatever ${readonly ? "a reader" : "a writer"} sends, nothing else is touched, and all is closed`, async () => {
    await using host = new TestFolder();
    const shared = prepared(host);
    const before = openFiles();
    const was = outside(host.path);
    const inside = JSON.stringify(filesBelow(shared));
    fc.assert(
      fc.property(fc.array(request, { minLength: 20, maxLength: 60 }), (requests) => {
        using served = new ServedFolder(shared, {
          readonly,
          mostDescriptors: 16,
          mostHandles: 16,
          mostInodes: 24,
        });
        const { client, folder } = served;
        client.init();
        for (const name of NAMES) client.send(Opcode.LOOKUP, 1, [name]);
        for (const nodeid of [1, 2, 3]) { // the folders' handles are 1 and 4, the file's the others
          const flags = Uint8Array.of(readonly ? 0 : 2, 0, 0, 0, 0, 0, 0, 0);
          client.send(nodeid === 2 ? Opcode.OPEN : Opcode.OPENDIR, nodeid, [flags]);
          if (nodeid === 2) client.send(Opcode.OPEN, nodeid, [flags]);
        }
        for (const one of requests) {
          const bytes = bytesOf(client, one);
          send(client, bytes, one.room);
          assert.ok(folder.inodes.size <= 24 && folder.handles.size <= 16);
          assert.ok(folder.files.open <= 16);
        }
        // It still serves.
        equal(client.send(Opcode.GETATTR, 1, [new Uint8Array(16)]).errno, 0);
      }),
      { numRuns: 250, seed: 20240229 },
    );
    equal(outside(host.path), was);
    nothingOpenedSince(before);
    if (readonly) equal(JSON.stringify(filesBelow(shared)), inside);
  });
}

Deno.test("random bytes are answered or malformed", async () => {
  await using host = new TestFolder();
  const shared = prepared(host);
  const was = outside(host.path);
  using served = new ServedFolder(shared);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.nat({ max: 300 }),
      (bytes, room) => send(served.client, bytes, room),
    ),
    { numRuns: 2000, seed: 7 },
  );
  equal(outside(host.path), was);
});
