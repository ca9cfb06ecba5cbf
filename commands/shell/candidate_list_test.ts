import assert from "node:assert/strict";
import { candidateLines, commonStart } from "./candidate_list.ts";

const words = (...words: string[]) => words.map((word) => ({ word }));

Deno.test("words stand side by side, down the columns first, as many as fit", () => {
  const size = { columns: 12, rows: 24 };
  assert.deepEqual(candidateLines(words("a", "bb", "c", "dd", "e"), size), ["a   c   e", "bb  dd"]);
  assert.deepEqual(candidateLines(words("日本", "x"), { columns: 10, rows: 24 }), ["日本  x"]);
  assert.deepEqual(candidateLines(words("longer than that", "b"), size), ["longer than…", "b"]);
  assert.deepEqual(candidateLines(words("a\x1b[2J"), size), ["a?[2J"]);
});

Deno.test("words with help stand below one another, no wider than the screen", () => {
  const candidates = [
    { word: "--memory", label: "--memory SIZE", help: "RAM (256M)" },
    { word: "--quiet", help: "neither notes nor progress" },
  ];
  assert.deepEqual(candidateLines(candidates, { columns: 30, rows: 24 }), [
    "--memory SIZE  RAM (256M)",
    "--quiet        neither notes …",
  ]);
});

Deno.test("more than the screen has room for is counted", () => {
  const many = words(...Array.from({ length: 50 }, (_, i) => `a-long-word-${i}`));
  const lines = candidateLines(many, { columns: 20, rows: 10 });
  assert.equal(lines.length, 8);
  assert.equal(lines.at(-1), "… 43 more lines");
});

Deno.test("the start that words have in common ends between characters", () => {
  assert.equal(commonStart(["memory", "mem", "memset"]), "mem");
  assert.equal(commonStart(["e\u0301a", "e\u0301b"]), "e\u0301");
  assert.equal(commonStart(["ea", "e\u0301b"]), "");
  assert.equal(commonStart([]), "");
});
