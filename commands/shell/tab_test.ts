import assert from "node:assert/strict";
import { edited, EMPTY, type LineBuffer } from "./line_buffer.ts";
import { tabbed } from "./tab.ts";

const at = (before: string, behind = ""): LineBuffer => ({
  ...EMPTY,
  text: before + behind,
  cursor: before.length,
});
const words = (replaced: string, ...written: string[]) => ({
  replaced,
  candidates: written.map((word) => ({ word, written: word })),
});

Deno.test("the one word is written before what stands behind the cursor, and ^_ takes it back", () => {
  const step = tabbed(at("run ker", " | x"), words("ker", "kernel.img "));
  assert.equal(step.kind, "written");
  if (step.kind !== "written") return;
  assert.equal(step.buffer.text, "run kernel.img  | x");
  assert.equal(step.buffer.cursor, "run kernel.img ".length);
  const back = edited(step.buffer, "C-_")!;
  assert.deepEqual([back.text, back.cursor], ["run ker | x", 7]);
});

Deno.test("several words give what they have in common, and then leave the choice", () => {
  const step = tabbed(at("run k"), words("k", "kernel5 ", "kernel6 "));
  assert.equal(step.kind === "written" && step.buffer.text, "run kernel");
  assert.equal(tabbed(at("run kernel"), words("kernel", "kernel5 ", "kernel6 ")).kind, "undecided");
  assert.equal(tabbed(at("run x"), words("x")).kind, "nothing");
});
