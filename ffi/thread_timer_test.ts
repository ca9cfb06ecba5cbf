import assert from "node:assert/strict";
import "../tests/c_library.ts";
import { Epoll } from "./epoll.ts";
import { ThreadTimer } from "./thread_timer.ts";

const LONG = 60_000;

Deno.test("a call that blocks is interrupted when the time is up, and so are later ones", () => {
  using epoll = new Epoll();
  using _timer = new ThreadTimer(5);
  for (let call = 0; call < 5; call++) {
    const start = performance.now();
    assert.equal(epoll.wait(LONG, () => {}), 0);
    assert.ok(performance.now() - start < LONG / 2);
  }
});

Deno.test("a timer that is gone interrupts nothing", () => {
  using epoll = new Epoll();
  new ThreadTimer(1)[Symbol.dispose]();
  const start = performance.now();
  epoll.wait(20, () => {});
  assert.ok(performance.now() - start >= 19);
});
