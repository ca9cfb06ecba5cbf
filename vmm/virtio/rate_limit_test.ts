import assert from "node:assert/strict";
import fc from "fast-check";
import { RateLimit } from "./rate_limit.ts";

Deno.test("a limit without rates never waits", () => {
  const limit = new RateLimit({}, 0);
  limit.charge(2 ** 40, 1000);
  assert.ok(limit.readyAt(0) <= 0);
});

Deno.test("a request larger than the burst passes, and the next one waits for what it took", () => {
  const limit = new RateLimit({ bytes: 1000, burst: 0.1 }, 0);
  assert.ok(limit.readyAt(0) <= 0);
  limit.charge(1100);
  assert.equal(limit.readyAt(0), 1000);
  assert.equal(limit.readyAt(600), 1000);
  assert.ok(limit.readyAt(1000) <= 1000);
});

Deno.test("the scarcer of bytes and operations decides", () => {
  const limit = new RateLimit({ bytes: 1000, operations: 10, burst: 0.1 }, 0);
  limit.charge(50);
  assert.ok(limit.readyAt(0) <= 0);
  limit.charge(0);
  assert.equal(limit.readyAt(0), 100);
});

Deno.test("over any time no more passes than the rate, the burst and one request", () => {
  const request = fc.record({ pause: fc.integer({ min: 0, max: 50 }), bytes: fc.nat(5000) });
  fc.assert(fc.property(fc.array(request, { maxLength: 200 }), (requests) => {
    const limit = new RateLimit({ bytes: 10_000, burst: 0.2 }, 0);
    let now = 0, passed = 0, largest = 0;
    for (const { pause, bytes } of requests) {
      now = Math.max(now + pause, limit.readyAt(now + pause));
      limit.charge(bytes);
      passed += bytes;
      largest = Math.max(largest, bytes);
    }
    assert.ok(passed <= 2000 + now * 10 + largest + 1e-6);
  }));
});
