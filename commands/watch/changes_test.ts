import { equal } from "node:assert/strict";
import fc from "fast-check";
import { markChanges } from "./changes.ts";

/** Marks as one can read them. */
function marked(before: string | undefined, after: string): string {
  return markChanges(before, after).replaceAll("\x1b[7m", "<").replaceAll("\x1b[27m", ">");
}

Deno.test("nothing is marked at first, nor what stays", () => {
  equal(marked(undefined, "web 1\n"), "web 1\n");
  equal(marked("web 1\n", "web 1\n"), "web 1\n");
});

Deno.test("words that changed are marked, and not those that they move", () => {
  equal(marked("web    9  running", "web   10  running"), "web   <10>  running");
  equal(marked("web  9  running", "web  9  paused"), "web  9  <paused>");
});

Deno.test("a line is found again where another came or went before it", () => {
  equal(marked("NAME\na 1\nb 2", "NAME\nb 2"), "NAME\nb 2");
  equal(marked("NAME\nb 2", "NAME\na 1\nb 3"), "NAME\n<a> <1>\nb <3>");
});

Deno.test("lines that begin alike are told by their words", () => {
  equal(
    marked("web vm exits 1\nweb vm halts 2", "web vm halts 2\nweb vm exits 3"),
    "web vm halts 2\nweb vm exits <3>",
  );
});

Deno.test("marks change nothing else", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "1", " ", "\n", "日") });
  fc.assert(fc.property(text, text, (before, after) => {
    // deno-lint-ignore no-control-regex -- the marks
    equal(markChanges(before, after).replace(/\x1b\[2?7m/g, ""), after);
  }));
});
