import assert from "node:assert/strict";
import fc from "fast-check";
import { copyToMark } from "./marked_stream.ts";

const MARK = new Uint8Array([0, 1, 0, 2]);

async function copy(chunks: Uint8Array[]) {
  const written: number[] = [];
  const source = ReadableStream.from(chunks);
  const marked = await copyToMark(source, MARK, (bytes) => {
    written.push(...bytes);
    return Promise.resolve();
  });
  return { written, marked };
}

/** Cuts bytes into chunks at the given places. */
function cut(bytes: number[], places: number[]): Uint8Array[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) =>
    a - b
  );
  return at.slice(1).map((to, n) => new Uint8Array(bytes.slice(at[n], to)));
}

// Bytes that collide with the mark's beginning as often as they can.
const bytes = fc.array(fc.constantFrom(0, 0, 1, 3), { maxLength: 40 });
const places = fc.array(fc.nat(100), { maxLength: 10 });

Deno.test("a stream is copied up to its mark, wherever it is cut into chunks", async () => {
  await fc.assert(fc.asyncProperty(bytes, places, async (data, cuts) => {
    const chunks = cut([...data, ...MARK, 7, 7], cuts);
    assert.deepEqual(await copy(chunks), { written: data, marked: true });
  }));
});

Deno.test("a stream without a mark is copied whole, and said to be cut off", async () => {
  await fc.assert(fc.asyncProperty(bytes, places, async (data, cuts) => {
    assert.deepEqual(await copy(cut(data, cuts)), { written: data, marked: false });
  }));
});

Deno.test("what cannot be the mark's beginning is passed on before the next chunk comes", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const { promise: passedOn, resolve } = Promise.withResolvers<number[]>();
  const copied = copyToMark(readable, MARK, (bytes) => Promise.resolve(resolve([...bytes])));
  const first = writer.write(new Uint8Array([5, 6, 0, 1]));
  assert.deepEqual(await passedOn, [5, 6]);
  await first;
  await Promise.all([writer.close(), copied]);
});
