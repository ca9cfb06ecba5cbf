import assert from "node:assert/strict";
import xterm from "@xterm/headless";
import fc from "fast-check";
import { graphemes } from "../text_width.ts";
import { draw, goBehind, layOut, type View } from "./line_screen.ts";

const view = (text: string, cursor = text.length): View => ({
  prompt: "hvsh> ",
  continuing: "> ",
  text,
  cursor,
});

function rowsOf(text: string, columns: number): string[] {
  return layOut(view(text), columns).rows.map((row) => row.text);
}

/** A terminal's rows, as far as anything is on them, and its cursor. */
async function screenAfter(output: string, columns: number, rows: number) {
  const terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
  await new Promise<void>((done) => terminal.write(output, done));
  const { active } = terminal.buffer;
  const lines = Array.from(
    { length: active.length },
    (_, i) => active.getLine(i)!.translateToString(true),
  );
  const cursor = [active.baseY + active.cursorY, active.cursorX];
  terminal.dispose();
  return { lines: trimmed(lines), cursor };
}

/** Without blanks at the ends of lines, and without empty lines at the end. */
function trimmed(lines: readonly string[]): string[] {
  const kept = lines.map((line) => line.trimEnd());
  while (kept.at(-1) === "") kept.pop();
  return kept;
}

Deno.test("a line longer than the screen goes on in the next row, wide characters whole", () => {
  assert.deepEqual(rowsOf("run", 20), ["hvsh> run"]);
  assert.deepEqual(rowsOf("abcdefgh", 10), ["hvsh> abcd", "efgh"]);
  assert.deepEqual(rowsOf("abc日本", 10), ["hvsh> abc ", "日本"]);
  assert.deepEqual(rowsOf("abcd", 10), ["hvsh> abcd", ""]);
  assert.deepEqual(rowsOf("e\u0301\u0302x", 10), ["hvsh> e\u0301\u0302x"]);
});

Deno.test("lines of a statement have a prompt each, tabs go to the next stop", () => {
  assert.deepEqual(rowsOf("if true\nthen", 40), ["hvsh> if true", "> then"]);
  assert.deepEqual(rowsOf("a\tb", 40), ["hvsh> a b"]);
  assert.deepEqual(rowsOf("\x07", 40), ["hvsh> ?"]);
});

Deno.test("the cursor stands before the character that it is before", () => {
  const { row, column } = layOut(view("ab\ncd", 4), 40);
  assert.deepEqual([row, column], [1, 3]);
  assert.deepEqual([layOut(view("abcd"), 10).row, layOut(view("abcd"), 10).column], [1, 0]);
});

Deno.test("what is drawn over another line is on a terminal as it was laid out", async () => {
  const piece = fc.constantFrom("a", "bc ", "日", "e\u0301", "\n", "x".repeat(9), "\t");
  const text = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(""));
  const place = fc.nat({ max: 100 });
  const steps = fc.array(fc.tuple(text, place), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 8, max: 20 }), async (steps, columns) => {
      let above = 0;
      let output = "";
      let layout = layOut(view(""), columns);
      for (const [text, place] of steps) {
        const before = graphemes(text).slice(0, place).join("").length;
        layout = layOut(view(text, before), columns);
        const drawn = draw(layout, above, 60);
        output += drawn.output;
        above = drawn.above;
      }
      const { lines, cursor } = await screenAfter(output, columns, 60);
      assert.deepEqual(lines, trimmed(layout.rows.map(({ text }) => text)));
      assert.deepEqual(cursor, [layout.row, layout.column]);
    }),
    { numRuns: 200 },
  );
});

Deno.test("a text higher than the screen is drawn around the cursor", async () => {
  const text = Array.from({ length: 30 }, (_, i) => `line ${i}`).join("\n");
  const first = draw(layOut(view(text), 40), 0, 10);
  const second = draw(layOut(view(text, 0), 40), first.above, 10);
  const { lines, cursor } = await screenAfter(`before\r\n${first.output}${second.output}`, 40, 10);
  assert.deepEqual(lines.slice(-10), [
    "hvsh> line 0",
    ...Array.from({ length: 9 }, (_, i) => `> line ${i + 1}`),
  ]);
  assert.deepEqual([cursor[0]! - (lines.length - 10), cursor[1]], [0, 6]);
  assert.equal(lines[0], "before");
});

Deno.test("behind the line comes the next row, wherever the cursor was", async () => {
  const drawn = draw(layOut(view("one\ntwo\nthree", 1), 40), 0, 24);
  const { lines } = await screenAfter(`${drawn.output}${goBehind(drawn.below)}next`, 40, 24);
  assert.deepEqual(lines, ["hvsh> one", "> two", "> three", "next"]);
});
