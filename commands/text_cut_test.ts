import { equal, ok } from "node:assert/strict";
import { textWidth } from "./text_width.ts";
import fc from "fast-check";
import { cutText, plainText } from "./text_cut.ts";

Deno.test("text is cut between characters as a reader sees them", () => {
  equal(cutText("web", 3), "web");
  equal(cutText("webserver", 4), "web…");
  equal(cutText("日本語", 4), "日…");
  equal(cutText("e\u0301e\u0301e\u0301", 2), "e\u0301…");
  equal(cutText("👩‍👩‍👧x", 2), "…");
  equal(cutText("web", 1), "…");
  equal(cutText("web", 0), "");
});

Deno.test("cut text is never too wide, and loses nothing that fits", () => {
  const text = fc.string({ unit: "grapheme" }).map(plainText);
  fc.assert(fc.property(text, fc.nat(12), (text, width) => {
    const cut = cutText(text, width);
    ok(textWidth(cut) <= width);
    equal(cut === text || (cut + "x").includes("…") || width === 0, true);
  }));
});

Deno.test("text can neither break its line nor steer or turn around the terminal's", () => {
  equal(plainText("a\x1b[2Jb\u009bc\u2028d\u202ee\u2066f"), "a?[2Jb?c?d?e?f");
  equal(plainText("e\u0301日👩‍👧"), "e\u0301日👩‍👧");
});
