import assert from "node:assert/strict";
import { Convergence } from "./convergence.ts";

const MIB = 2 ** 20;

Deno.test("what takes half of the downtime is left for the last round", () => {
  const rounds = new Convergence(50);
  rounds.sent(100 * MIB, 1000);
  assert.equal(rounds.next(2.6 * MIB), "another");
  assert.equal(rounds.next(2.5 * MIB), "last");
  assert.equal(rounds.next(0), "last");
});

Deno.test("the last round says how long the rest takes", () => {
  const rounds = new Convergence(50);
  assert.equal(rounds.milliseconds(0), 0);
  rounds.sent(0, 3);
  assert.equal(rounds.next(MIB), "another");
  rounds.sent(MIB, 100); // the other side had to start
  assert.equal(rounds.milliseconds(MIB), 100);
  rounds.sent(10 * MIB, 100);
  rounds.sent(0, 5);
  assert.equal(rounds.milliseconds(MIB), 10);
});

Deno.test("rounds go on as long as they shrink, and three in vain are enough", () => {
  const rounds = new Convergence(50);
  rounds.sent(MIB, 100);
  for (let left = 100; left > 10; left *= 0.8) assert.equal(rounds.next(left * MIB), "another");
  const words = [20, 20, 20, 20].map((left) => rounds.next(left * MIB));
  assert.deepEqual(words, ["another", "another", "vain", "vain"]);
});

Deno.test("rounds that go up and down come to an end too", () => {
  const rounds = new Convergence(50);
  rounds.sent(MIB, 100);
  let count = 0;
  while (rounds.next(count++ % 2 === 0 ? 20 * MIB : 10 * MIB) === "another");
  assert.equal(count, 61);
});
