import assert from "node:assert/strict";
import * as v from "valibot";
import { TRANSPORTS, VirtioMachine } from "../../tests/virtio_machine.ts";
import { rng } from "./rng.ts";
import { Status } from "./status.ts";

for (const transport of TRANSPORTS) {
  const test = (name: string, fn: () => Promise<void>) => Deno.test(`${name} (${transport})`, fn);

  test("each buffer is filled whole, in the thread that was notified", async () => {
    await using vm = await VirtioMachine.open(rng, {}, { transport });
    vm.driver(0).add({ write: [64, 1000, 0] });
    vm.driver(0).add({ write: [64], indirect: true });
    vm.kick(0);
    const [first, second] = vm.driver(0).collect();
    assert.ok(vm.takeInterrupt(0));
    assert.equal(first!.written, 1064);
    assert.equal(second!.written, 64);
    const bytes = [...first!.request.written(), ...second!.request.written()];
    assert.ok(new Set(bytes).size > 200, "they are not random");
    assert.equal(vm.stats.bytes, 1128);
    assert.equal(vm.stats.requests, 2);
  });

  test("a buffer that is large is filled in part, and one with no room not at all", async () => {
    await using vm = await VirtioMachine.open(rng, {}, { transport });
    vm.driver(0).add({ write: [0x3_0000] });
    vm.driver(0).add({ read: [new Uint8Array(8)] });
    vm.kick(0);
    vm.poll();
    const [large, none] = vm.driver(0).collect();
    assert.equal(large!.written, 0x1_0000);
    assert.ok(large!.request.written(0).subarray(0x1_0000).every((byte) => byte === 0));
    assert.equal(none!.written, 0);
  });

  test("a vCPU fills a few buffers at once, and the I/O thread all the others", async () => {
    await using vm = await VirtioMachine.open(rng, {}, { transport });
    for (let i = 0; i < 64; i++) vm.driver(0).add({ write: [0x1_0000] });
    vm.kick(0);
    const inline = vm.driver(0).collect().length;
    assert.ok(inline >= 1 && inline < 4, `${inline} at once`);
    vm.poll();
    assert.equal(vm.driver(0).collect().length, 64 - inline);
    assert.equal(vm.stats.bytes, 64 * 0x1_0000);
  });

  test("a limited one gives what its rate allows, and no more", async () => {
    const config = { limit: { bytes: 1000, burst: 0.1 } };
    await using vm = await VirtioMachine.open(rng, config, { transport, fakeClock: true });
    const given = () => vm.stats.bytes!;
    for (let i = 0; i < 64; i++) vm.driver(0).add({ write: [50] });
    vm.kick(0);
    assert.equal(given(), 0, "the I/O thread keeps the rate");
    vm.poll();
    const burst = given();
    assert.ok(burst >= 100 && burst <= 200, `${burst} bytes at once`);
    vm.advance(1000);
    assert.ok(Math.abs(given() - burst - 1000) <= 50, `${given() - burst} bytes in a second`);
    vm.advance(10_000);
    assert.equal(given(), 64 * 50);
    assert.equal(vm.driver(0).collect().length, 64);
  });

  test("a reset while buffers wait for their rate drops them", async () => {
    const config = { limit: { bytes: 10, burst: 0.1 } };
    await using vm = await VirtioMachine.open(rng, config, { transport, fakeClock: true });
    for (let i = 0; i < 8; i++) vm.driver(0).add({ write: [100] });
    vm.kick(0);
    vm.poll();
    const before = vm.stats.bytes!;
    vm.reset();
    vm.advance(1_000_000);
    assert.equal(vm.stats.bytes, before);
    vm.start();
    vm.driver(0).add({ write: [16] });
    vm.kick(0);
    vm.poll();
    assert.equal(vm.driver(0).collect()[0]!.written, 16);
  });

  test("a ring that lies breaks the device, and a reset mends it", async () => {
    await using vm = await VirtioMachine.open(rng, {}, { transport });
    vm.driver(0).setDescriptor(0, { address: 2 ** 40, length: 64, flags: 2 });
    vm.driver(0).makeAvailable(0);
    vm.kick(0);
    assert.notEqual(vm.status & Status.DEVICE_NEEDS_RESET, 0);
    vm.reset();
    vm.start();
    vm.driver(0).add({ write: [16] });
    vm.kick(0);
    assert.equal(vm.driver(0).collect()[0]!.written, 16);
  });
}

Deno.test("a document's rate is a number of bytes", () => {
  const take = (entry: unknown) => v.safeParse(rng.schema!, entry).success;
  assert.ok(take({ limit: { bytes: 1 }, other: 1 }));
  for (const limit of [{ bytes: 0 }, { bytes: "1" }, { bytes: NaN }, 5]) {
    assert.ok(!take({ limit }), JSON.stringify(limit));
  }
});
