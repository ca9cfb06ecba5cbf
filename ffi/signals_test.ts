import assert from "node:assert/strict";
import "../tests/c_library.ts";
import { kickThread, threadId } from "./signals.ts";

Deno.test("a kick interrupts a thread that blocks in a call, again and again, and harms nothing", async () => {
  const words = new Int32Array(new SharedArrayBuffer(12));
  const worker = new Worker(new URL("../tests/blocked_thread.ts", import.meta.url), {
    type: "module",
  });
  try {
    const ended = new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
    });
    worker.postMessage(words);
    await Atomics.waitAsync(words, 0, 0).value;
    const tid = words[0]!;
    assert.notEqual(tid, threadId());
    // A kick that comes just before the wait is lost; one that comes later finds it blocked.
    const kickUntilCounted = async (seen: number) => {
      while (Atomics.load(words, 2) === seen) {
        kickThread(tid);
        await Atomics.waitAsync(words, 2, seen, 20).value;
      }
    };
    for (let kicks = 0; kicks < 100; kicks++) await kickUntilCounted(Atomics.load(words, 2));
    const seen = Atomics.load(words, 2);
    Atomics.store(words, 1, 1);
    await kickUntilCounted(seen);
    assert.equal(await ended, "ended");
  } finally {
    worker.terminate();
  }
});

Deno.test("kicking a thread that is gone does nothing, and an impossible one is an error", () => {
  kickThread(0x3fff_ffff);
  assert.throws(() => kickThread(-1), /tgkill: invalid argument \(EINVAL\)/);
});
