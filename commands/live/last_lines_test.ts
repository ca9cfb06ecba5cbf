import assert from "node:assert/strict";
import fc from "fast-check";
import { LastLines } from "./last_lines.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("the last lines are given without their ends and without empty ones", () => {
  const last = new LastLines();
  last.push(bytes("one\r\ntwo\n\nthr"));
  last.push(bytes("ee\r\n"));
  assert.deepEqual(last.lines(2), ["two", "three"]);
});

Deno.test("a line that is not finished is one, without the blank that it has come to", () => {
  const last = new LastLines();
  last.push(bytes("[    3.8] one  \n \n[ "));
  assert.deepEqual(last.lines(2), ["[    3.8] one", "["]);
});

Deno.test("what would move the reader's cursor is left out", () => {
  const last = new LastLines();
  last.push(bytes("\x1b[2J\x1b[1;31mred\x1b[0m \x07bell\x1b]0;title"));
  assert.deepEqual(last.lines(1), ["red bell0;title"]);
});

Deno.test("it keeps a bounded end, however the output is cut", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 20_000 }), { maxLength: 5 }), (parts) => {
      const last = new LastLines();
      for (const part of parts) last.push(part);
      for (const line of last.lines(1000)) assert.ok(line.length <= 160);
      assert.ok(last.lines(1_000_000).length <= 8192);
    }),
  );
});
