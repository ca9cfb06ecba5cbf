import assert from "node:assert/strict";
import fc from "fast-check";
import * as v from "valibot";
import { access, createDeviceContext } from "../../tests/fake_device_context.ts";
import { Port } from "../board.ts";
import type { Width } from "../device.ts";
import { MOST_WATCHDOG_SECONDS, watchdog } from "./watchdog.ts";

const CONTROL = Port.WATCHDOG;
const STATUS = Port.WATCHDOG + 1;
const COUNTDOWN = Port.WATCHDOG + 2;
const CURRENT = Port.WATCHDOG + 4;

function open(entry: Record<string, unknown> = {}) {
  const machine = createDeviceContext(watchdog);
  const device = watchdog.open(v.parse(watchdog.schema!, entry), machine.context);
  device.reset();
  return {
    machine,
    device,
    out: (port: number, width: Width, value: number) => void access(device, port, width, value),
    in: (port: number, width: Width) => access(device, port, width),
  };
}

Deno.test("a watchdog that nobody starts never expires", () => {
  const { machine, device } = open();
  machine.advance(1e9, device);
  assert.deepEqual(machine.stops, []);
  assert.equal(device.deadline!(), Infinity);
});

Deno.test("one that is reloaded in time leaves the machine alone; one that isn't resets it", () => {
  const w = open();
  w.out(COUNTDOWN, 2, 20); // 2 s
  w.out(CONTROL, 1, 1);
  for (let i = 0; i < 10; i++) {
    w.machine.advance(1900, w.device);
    assert.equal(w.in(CURRENT, 2), 1);
    w.out(CURRENT, 2, 0);
    assert.equal(w.in(CURRENT, 2), 20);
  }
  assert.deepEqual(w.machine.stops, []);
  w.machine.advance(2000, w.device);
  assert.deepEqual(w.machine.stops, [["reset", undefined]]);
  assert.equal(w.machine.events[0]!.kind, "watchdog");
  assert.equal(w.machine.events[0]!.action, "reset");
  assert.match(w.machine.events[0]!.message!, /for 2 s/);
});

Deno.test("that it has expired is told across a reset, until the guest clears it", () => {
  const w = open();
  w.out(CONTROL, 1, 1);
  w.machine.advance(30_000, w.device);
  assert.equal(w.in(STATUS, 1), 1);
  w.device.reset();
  assert.equal(w.in(STATUS, 1), 1);
  assert.equal(w.in(CONTROL, 1) & 1, 0, "it does not run after a reset");
  w.out(STATUS, 1, 0);
  assert.equal(w.in(STATUS, 1), 1);
  w.out(STATUS, 1, 1);
  assert.equal(w.in(STATUS, 1), 0);
});

Deno.test("stopped, it does not expire, and starting it again begins anew", () => {
  const w = open();
  w.out(COUNTDOWN, 2, 10);
  w.out(CONTROL, 1, 1);
  w.machine.advance(900, w.device);
  w.out(CONTROL, 1, 0);
  assert.equal(w.in(CURRENT, 2), 0);
  w.machine.advance(10_000, w.device);
  w.out(CONTROL, 1, 1);
  w.machine.advance(900, w.device);
  assert.deepEqual(w.machine.stops, []);
  assert.equal(w.in(CURRENT, 2), 1);
});

Deno.test("writing the state that it is in already is no reload", () => {
  const w = open();
  w.out(CONTROL, 1, 1);
  w.machine.advance(29_950, w.device);
  w.out(CONTROL, 1, 1);
  w.machine.advance(50, w.device);
  assert.equal(w.machine.stops.length, 1);
});

Deno.test("a new countdown holds from the next reload on; 0 counts as 1", () => {
  const w = open();
  w.out(CONTROL, 1, 1);
  w.out(COUNTDOWN, 2, 0);
  assert.equal(w.in(COUNTDOWN, 2), 1);
  w.machine.advance(1000, w.device);
  assert.deepEqual(w.machine.stops, []);
  w.out(CURRENT, 2, 0xffff);
  w.machine.advance(100, w.device);
  assert.equal(w.machine.stops.length, 1);
});

Deno.test("with a timeout it runs from power-on, and after each reset", () => {
  const w = open({ timeout: 5, action: "panic" });
  assert.equal(w.in(CONTROL, 1), 1, "runs, and an expiry is no reset");
  w.machine.advance(5000, w.device);
  w.device.reset();
  assert.equal(w.in(CURRENT, 2), 50);
  w.machine.advance(5000, w.device);
  assert.deepEqual(w.machine.stops, [["panic", undefined], ["panic", undefined]]);
});

Deno.test("with no action an expiry is told once, and counts again after a reload", () => {
  const w = open({ timeout: 1, action: "none" });
  w.machine.advance(60_000, w.device);
  assert.equal(w.machine.events.length, 1);
  assert.equal(w.in(CURRENT, 2), 0);
  w.out(CURRENT, 2, 1);
  w.machine.advance(1000, w.device);
  assert.equal(w.machine.events.length, 2);
  assert.deepEqual(w.machine.stops, []);
});

Deno.test("an expire that a reload overtook does nothing", () => {
  const w = open();
  w.out(CONTROL, 1, 1);
  w.machine.advance(29_999, w.device);
  w.out(CURRENT, 2, 1);
  w.device.expire!();
  assert.deepEqual(w.machine.stops, []);
});

Deno.test("an access in another width than the register's does nothing, and reads ones", () => {
  const w = open();
  const before = w.machine.context.state.buffer.slice(0);
  for (const [port, width] of [[CONTROL, 2], [COUNTDOWN, 1], [COUNTDOWN + 1, 1]] as const) {
    assert.equal(w.in(port, width), 2 ** (8 * width) - 1);
    w.out(port, width, 2 ** (8 * width) - 1);
  }
  assert.deepEqual(w.machine.context.state.buffer, before);
});

Deno.test("whatever is written, it runs with a countdown in its range and a deadline within it", () => {
  const write = fc.tuple(
    fc.integer({ min: 0, max: 5 }),
    fc.constantFrom<Width>(1, 2),
    fc.nat(0xffff),
    fc.nat(10_000),
  );
  fc.assert(fc.property(fc.array(write, { maxLength: 50 }), (writes) => {
    const { machine, device, ...w } = open({ action: "none" });
    for (const [at, width, value, ms] of writes) {
      const fits = at + width <= 6 ? width : 1;
      w.out(Port.WATCHDOG + at, fits, value % 2 ** (8 * fits));
      machine.advance(ms, device);
      const left = device.deadline!() - machine.context.monotonic();
      assert.ok(left === Infinity || left > 0 && left <= MOST_WATCHDOG_SECONDS * 1000);
      assert.ok(w.in(COUNTDOWN, 2) >= 1);
      assert.equal(w.in(CURRENT, 2), left === Infinity ? 0 : Math.ceil(left / 100));
    }
  }));
});

Deno.test("a document's watchdog has a time and an action that there are", () => {
  const take = (entry: unknown) => v.safeParse(watchdog.schema!, entry).success;
  assert.ok(take({ timeout: 0.1, other: 1 }));
  for (const entry of [{ timeout: 0 }, { timeout: 1e9 }, { timeout: NaN }, { action: "explode" }]) {
    assert.ok(!take(entry), JSON.stringify(entry));
  }
});
