import assert from "node:assert/strict";
import "../tests/c_library.ts";
import { EventFd } from "./eventfd.ts";

Deno.test("an eventfd counts its signals until they are taken", () => {
  using event = new EventFd();
  assert.equal(event.take(), 0);
  event.signal();
  event.signal();
  assert.equal(event.take(), 2);
  assert.equal(event.take(), 0);
});

Deno.test("a closed eventfd says what call failed", () => {
  const event = new EventFd();
  event[Symbol.dispose]();
  assert.throws(() => event.signal(), /eventfd: write: bad file descriptor \(EBADF\)/);
});
