import assert from "node:assert/strict";
import type { DriverOrder } from "../../tests/driver_thread.ts";
import { QueueRig } from "../../tests/queue_rig.ts";

const DEADLINE = 10_000;

for (const size of [1, 2, 8, 256]) {
  Deno.test(`a driver on another processor and a queue of ${size} lose no notification`, async () => {
    using rig = new QueueRig({ size });
    const { driver } = rig;
    for (let i = 0; i < size; i++) driver.setDescriptor(i, { address: 0x10_0000, length: 16 });
    const words = new Int32Array(new SharedArrayBuffer(8));
    const queue = rig.open(() => {
      Atomics.add(words, 1, 1);
      Atomics.notify(words, 1);
    });
    const { host, buffer } = rig.guarded.guest.regions[0]!;
    const order: DriverOrder = {
      address: BigInt(host!),
      length: buffer.byteLength,
      avail: driver.avail,
      used: driver.used,
      size,
      total: 150_000,
      words,
    };
    const url = new URL("../../tests/driver_thread.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    try {
      const result = new Promise<string>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => reject(new Error(event.message));
      });
      worker.postMessage(order);
      for (let done = 0; done < order.total;) {
        const kicks = Atomics.load(words, 0);
        for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
          queue.push(chain, 0);
          // Now and then a batch is told of before its end.
          if (++done % 7 === 0) queue.signal();
        }
        queue.signal();
        if (done === order.total) break;
        // No second look: finding nothing has asked for a kick, and has looked once more.
        const wait = Atomics.waitAsync(words, 0, kicks, DEADLINE);
        assert.notEqual(await wait.value, "timed-out", `no kick came: ${done} are done`);
      }
      assert.equal(await result, "done");
    } finally {
      worker.terminate();
    }
  });
}
