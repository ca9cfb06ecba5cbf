import assert from "node:assert/strict";
import { monotonicMilliseconds } from "../ffi/clock.ts";
import { struct } from "../ffi/struct.ts";
import { moment } from "./moment.ts";
import "../tests/c_library.ts";

const State = struct("times", { due: moment(Infinity), off: moment(0), start: moment() });

Deno.test("a time's JSON is how far away it is, and null for none", () => {
  const state = new State();
  const now = monotonicMilliseconds();
  state.due = now + 1e6;
  state.off = 0;
  state.start = now - 1e6;
  const { due, off, start } = state.toJSON() as { due: number; off: null; start: number };
  assert.equal(off, null);
  assert.ok(due <= 1e6 && start <= -1e6);
  const other = new State();
  other.fromJSON({ due, off, start });
  assert.ok(other.due >= state.due && other.start >= state.start);
  assert.equal(other.off, 0);
  other.fromJSON({ due: null });
  assert.equal(other.due, Infinity);
});

Deno.test("what is no time, or further away than a clock goes, is refused", () => {
  const state = new State();
  for (const due of ["1", 1e300, true, {}]) {
    assert.throws(() => state.fromJSON({ due }), { name: "TypeError", message: /^times\.due/ });
  }
  assert.throws(() => state.fromJSON({ start: null }), TypeError);
});
