import assert from "node:assert/strict";
import fc from "fast-check";
import { editDistance, nearestWord } from "./nearest_word.ts";

Deno.test("editDistance counts missing, added, wrong and swapped characters", () => {
  for (
    const [a, b, distance] of [
      ["", "", 0],
      ["", "abc", 3],
      ["serial", "serial", 0],
      ["seral", "serial", 1],
      ["serrial", "serial", 1],
      ["sezial", "serial", 1],
      ["serail", "serial", 1],
      ["kitten", "sitting", 3],
    ] as const
  ) assert.equal(editDistance(a, b), distance, `${a} ${b}`);
});

Deno.test("editDistance is symmetric, 0 only for equal words, at most the longer length", () => {
  const word = fc.string({ maxLength: 12 });
  fc.assert(fc.property(word, word, (a, b) => {
    const distance = editDistance(a, b);
    assert.equal(distance, editDistance(b, a));
    assert.equal(distance === 0, a === b);
    assert.ok(distance >= Math.abs(a.length - b.length));
    assert.ok(distance <= Math.max(a.length, b.length));
  }));
});

Deno.test("nearestWord finds a slip of a finger, whatever the case", () => {
  const verbs = ["create", "run", "resume", "reset", "restore"];
  assert.equal(nearestWord("craete", verbs), "create");
  assert.equal(nearestWord("RUN", verbs), "run");
  assert.equal(nearestWord("rn", verbs), "run");
  assert.equal(nearestWord("resrt", verbs), "reset");
});

Deno.test("nearestWord guesses nothing for a word that is far from all", () => {
  assert.equal(nearestWord("quantum", ["create", "run"]), undefined);
  assert.equal(nearestWord("", ["create"]), undefined);
  assert.equal(nearestWord("x", []), undefined);
  assert.equal(nearestWord("a".repeat(10_000_000), ["create"]), undefined);
});
