import assert from "node:assert/strict";
import { PacedSink } from "./paced_sink.ts";

const taken = { write: () => {} };

Deno.test("a limit is kept, and what was waited for it is told", async () => {
  const sink = new PacedSink(taken, 100_000);
  const start = performance.now();
  for (let i = 0; i < 10; i++) await sink.write([new Uint8Array(400), new Uint8Array(100)]);
  assert.equal(sink.bytes, 5000);
  assert.ok(performance.now() - start >= 49);
  assert.ok(sink.waited > 0);
  sink.unlimited = true;
  const { waited } = sink;
  await sink.write([new Uint8Array(100_000)]);
  assert.equal(sink.waited, waited);
});

Deno.test("without a limit nothing is waited for", async () => {
  const sink = new PacedSink(taken, Infinity);
  await sink.write([new Uint8Array(1_000_000)]);
  assert.deepEqual([sink.bytes, sink.waited], [1_000_000, 0]);
});
