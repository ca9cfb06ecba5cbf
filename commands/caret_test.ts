import { equal } from "node:assert/strict";
import fc from "fast-check";
import { WordError } from "./argv.ts";
import { caretLines } from "./caret.ts";

Deno.test("the caret stands under the place in the word", () => {
  const error = new WordError("", ["-m", "12Q", "k"], 1, 2);
  equal(caretLines("hvsh run", error), "  hvsh run -m 12Q k\n" + "                ^");
});

Deno.test("a missing word has its caret behind the last", () => {
  equal(caretLines("hvsh run", new WordError("", ["-m"], 1)), "  hvsh run -m \n              ^");
});

Deno.test("control characters do not move the caret or reach the terminal", () => {
  const error = new WordError("", ["\x1b[2J\t", "x"], 1);
  equal(caretLines("hvsh run", error), "  hvsh run ?[2J? x\n                 ^");
});

Deno.test("lines stay within 80 columns and the caret within the line", () => {
  const words = fc.array(fc.string({ maxLength: 120, unit: "binary-ascii" }), { minLength: 1 });
  fc.assert(fc.property(words, fc.nat(), fc.nat(), (words, i, o) => {
    const index = i % words.length;
    const offset = o % (words[index]!.length + 1);
    const [line, caret] = caretLines("hvsh run", new WordError("", words, index, offset))
      .split("\n");
    return line!.length <= 80 && caret!.length <= 80 && caret!.endsWith("^");
  }));
});
