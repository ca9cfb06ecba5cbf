import assert from "node:assert/strict";
import fc from "fast-check";
import { edited, EMPTY, inserted, type LineBuffer } from "./line_buffer.ts";

/** A text with `|` where the cursor is. */
function at(text: string): LineBuffer {
  const cursor = text.indexOf("|");
  return { ...EMPTY, text: text.replace("|", ""), cursor };
}

/** Presses keys, `+text` types. */
function press(start: string, ...keys: string[]): string {
  const end = keys.reduce(
    (buffer, key) => key.startsWith("+") ? inserted(buffer, key.slice(1)) : edited(buffer, key)!,
    at(start),
  );
  return `${end.text.slice(0, end.cursor)}|${end.text.slice(end.cursor)}`;
}

Deno.test("the cursor goes by characters, words and lines", () => {
  assert.equal(press("ab|", "C-b", "Left", "Left"), "|ab");
  assert.equal(press("|ab", "C-f", "Right", "Right"), "ab|");
  assert.equal(press("one\ntw|o", "C-a"), "one\n|two");
  assert.equal(press("o|ne\ntwo", "End"), "one|\ntwo");
  assert.equal(press("one\n|two", "C-b"), "one|\ntwo");
  assert.equal(press("kernel --cmd-line x|", "M-b", "M-b"), "kernel --cmd-|line x");
  assert.equal(press("|kernel --cmd-line", "M-f", "M-f"), "kernel --cmd|-line");
  assert.equal(press("a\nb|", "M-<", "M->"), "a\nb|");
});

Deno.test("a character is what a person sees as one", () => {
  assert.equal(press("e\u0301日👨‍👩‍👧|", "Backspace"), "e\u0301日|");
  assert.equal(press("e\u0301日👨‍👩‍👧|", "C-b", "C-b", "Backspace"), "|日👨‍👩‍👧");
  assert.equal(press("|🇩🇪x", "C-d"), "|x");
  assert.equal(press("|👍 über|", "M-f", "M-d").startsWith("👍 über"), true);
});

Deno.test("what is killed comes back, kills in a row as one", () => {
  assert.equal(press("a b c|", "C-w", "C-w", "C-y"), "a b c|");
  assert.equal(press("a b c|", "C-w", "C-b", "C-w", "C-y"), "a b| ");
  assert.equal(press("|a b c", "M-d", "M-d", "C-e", "C-y"), " ca b|");
  assert.equal(press("ab|cd", "C-k", "C-y", "C-y"), "abcdcd|");
  assert.equal(press("ab|cd", "C-u", "C-e", "C-y"), "cdab|");
  assert.equal(press("a|\nb", "C-k"), "a|b");
  assert.equal(press("cat /usr/lib/x|", "C-w"), "cat |");
  assert.equal(press("cat /usr/lib/x|", "M-Backspace"), "cat /usr/lib/|");
});

Deno.test("^T swaps characters, and does nothing where there is none before", () => {
  assert.equal(press("a|b", "C-t"), "ba|");
  assert.equal(press("xab|", "C-t"), "xba|");
  assert.equal(press("|ab", "C-t"), "|ab");
  assert.equal(press("a|", "C-t"), "a|");
  assert.equal(press("ab\n|cd", "C-t"), "ab\n|cd");
});

Deno.test("^_ takes back what was typed in a row, and every other change", () => {
  assert.equal(press("|", "+a", "+b", "C-_"), "|");
  assert.equal(press("|", "+a", "C-a", "+b", "C-_"), "|a");
  assert.equal(press("one two|", "C-w", "C-w", "C-_", "C-_", "C-_"), "one two|");
});

Deno.test("keys that edit nothing are left to others", () => {
  assert.equal(edited(EMPTY, "Tab"), undefined);
  assert.equal(edited(EMPTY, "toString"), undefined);
});

Deno.test("any keys leave the cursor in the text, and ^_ leads back to its start", () => {
  const keys = ["C-a", "C-e", "C-b", "C-f", "M-b", "M-f", "C-d", "Backspace", "C-k", "C-u", "C-w"];
  const more = ["M-d", "M-Backspace", "C-y", "C-t", "M-Enter", "+a", "+日e\u0301", "+ x"];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...keys, ...more), { maxLength: 40 }), (pressed) => {
      let buffer = inserted(EMPTY, "start");
      for (const key of pressed) {
        buffer = key.startsWith("+") ? inserted(buffer, key.slice(1)) : edited(buffer, key)!;
        assert.ok(buffer.cursor >= 0 && buffer.cursor <= buffer.text.length);
        assert.ok(buffer.text.isWellFormed());
      }
      while (buffer.before.length > 0) buffer = edited(buffer, "C-_")!;
      assert.equal(buffer.text, "");
    }),
  );
});
