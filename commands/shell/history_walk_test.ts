import assert from "node:assert/strict";
import { beginWalk, walkedTo, walkOn } from "./history_walk.ts";

const lines = ["create", "run a", "create", "create", "list"];

/** What is shown after each step, until there is no other line. */
function shown(draft: string, cursor: number, steps: readonly (-1 | 1)[]): string[] {
  let walk = beginWalk(lines, draft, cursor);
  return steps.map((step) => {
    walk = walkOn(walk, step) ?? walk;
    return walkedTo(walk);
  });
}

Deno.test("up shows each line once, down comes back to what was typed", () => {
  assert.deepEqual(shown("", 0, [-1, -1, -1, -1, -1, 1, 1, 1, 1, 1]), [
    ...["list", "create", "run a", "create", "create"],
    ...["run a", "create", "list", "", ""],
  ]);
});

Deno.test("only lines that start as the one before the cursor does are shown", () => {
  assert.deepEqual(shown("ru", 2, [-1, -1, 1]), ["run a", "run a", "ru"]);
  assert.deepEqual(shown("cx", 1, [-1, 1]), ["create", "cx"]);
  assert.deepEqual(shown("nothing", 7, [-1, 1]), ["nothing", "nothing"]);
});
