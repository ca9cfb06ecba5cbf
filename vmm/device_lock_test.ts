import assert from "node:assert/strict";
import type { LockingOrder } from "../tests/locking_thread.ts";
import { lockDevice, unlockDevice } from "./device_lock.ts";

Deno.test("a lock that is free is taken and given back without anybody else", () => {
  const words = new Int32Array(new SharedArrayBuffer(8));
  for (let i = 0; i < 3; i++) {
    lockDevice(words, 1);
    assert.equal(words[1], 1);
    unlockDevice(words, 1);
    assert.equal(words[1], 0);
  }
  assert.equal(words[0], 0);
});

Deno.test("two threads that fight for a lock lose no count and leave it free", async () => {
  const words = new Int32Array(new SharedArrayBuffer(12));
  const threads = 2;
  const rounds = 100_000;
  const order: LockingOrder = { words, rounds, threads };
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL("../tests/locking_thread.ts", import.meta.url), { type: "module" }),
  );
  try {
    await Promise.all(workers.map((worker) =>
      new Promise<void>((resolve, reject) => {
        worker.onmessage = () => resolve();
        worker.onerror = (event) => reject(new Error(event.message));
        worker.postMessage(order);
      })
    ));
    assert.equal(words[1], threads * rounds);
    assert.equal(words[0], 0);
  } finally {
    workers.forEach((worker) => worker.terminate());
  }
});
