import assert from "node:assert/strict";
import { UsageError } from "../../ffi/errors.ts";
import { caretAt, complaint } from "./complaint.ts";

function at(source: string, word: string): string[] {
  const start = source.indexOf(word);
  return caretAt(source, { start, end: start + word.length }).split("\n");
}

Deno.test("the caret stands under the word, whatever is before it", () => {
  assert.deepEqual(at("create | x", "x"), ["  create | x", "           ^"]);
  assert.deepEqual(at("a\nbb cc\nd", "cc"), ["  bb cc", "     ^"]);
  assert.deepEqual(at("漢字\té\x1b x", "x"), ["  漢字 é? x", "          ^"]);
});

Deno.test("a long line is cut to the terminal's width around the caret", () => {
  for (const before of [0, 30, 60, 90, 500, 5000]) {
    const [line, caret] = at("a".repeat(before) + "X" + "b".repeat(300), "X");
    assert.ok(line!.length <= 80, `${line!.length}`);
    assert.equal(line![caret!.indexOf("^")], "X");
  }
});

Deno.test("a complaint has the line's number where nobody sees the line", () => {
  const error = new UsageError("It is wrong", { hint: "mend it" });
  const origin = { source: "a\nb c" };
  const span = { start: 4, end: 5 };
  assert.equal(
    complaint(error, { ...origin, line: 7 }, span, "b"),
    "hvsh: line 8: b: It is wrong\n  b c\n    ^\n  try: mend it",
  );
  assert.equal(complaint(error, origin), "hvsh: It is wrong\n  try: mend it");
});
