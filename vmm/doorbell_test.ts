import assert from "node:assert/strict";
import { Doorbell } from "./doorbell.ts";

const newDoorbell = () => new Doorbell(new Int32Array(new SharedArrayBuffer(4)), 0);

Deno.test("a doorbell that was rung between the look and the wait is not missed", async () => {
  const doorbell = newDoorbell();
  const seen = doorbell.count;
  doorbell.ring();
  await doorbell.after(seen); // resolves at once
  const later = doorbell.after(doorbell.count);
  const alive = setInterval(() => {}, 1000); // such a wait alone does not keep Deno running
  doorbell.ring();
  await later;
  clearInterval(alive);
});

/** Does something over and over until timers have gone off. */
async function untilTimers(work: () => Promise<void>): Promise<void> {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const end = performance.now() + 10_000;
  try {
    while (turns < 3) {
      await work();
      assert.ok(performance.now() < end, "no timer went off");
    }
  } finally {
    clearInterval(timer);
  }
}

Deno.test("a doorbell that is rung all the time leaves the event loop its turn", async () => {
  const doorbell = newDoorbell();
  await untilTimers(async () => {
    const seen = doorbell.count;
    doorbell.ring();
    await doorbell.after(seen);
  });
});

Deno.test("who never waits for the doorbell leaves the event loop its turn too", async () => {
  const doorbell = newDoorbell();
  await untilTimers(() => doorbell.giveTurn());
});

Deno.test("a doorbell that is rung as soon as it is waited for leaves the event loop its turn", async () => {
  const doorbell = newDoorbell();
  await untilTimers(async () => {
    const rung = doorbell.after(doorbell.count);
    doorbell.ring();
    await rung;
  });
});
