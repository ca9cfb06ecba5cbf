import assert from "node:assert/strict";
import { HistorySearch } from "./history_search.ts";

const lines = ["create -m 1G", "run a", "create -m 2G", "list"];

function typing(keys: string): HistorySearch {
  const search = new HistorySearch(lines);
  for (const key of keys) assert.equal(search.press(key).kind, "going on");
  return search;
}

Deno.test("the newest line that has the letters is found, and Ctrl-R goes to older ones", () => {
  assert.equal(typing("").display, "(history) : ");
  assert.equal(typing("cre").display, "(history) cre: create -m 2G");
  assert.equal(typing("cre\x12").display, "(history) cre: create -m 1G");
  assert.equal(typing("cre\x12\x12").display, "(history) cre: create -m 1G");
  assert.equal(typing("m 1").display, "(history) m 1: create -m 1G");
  assert.equal(typing("m 1\x7f").display, "(history) m : create -m 2G");
  assert.equal(typing("nope").display, "(no history) nope: ");
});

Deno.test("another key edits what was found and does there what it does", () => {
  assert.deepEqual(typing("ru").press("\r"), { kind: "found", line: "run a", rest: "\r" });
  assert.deepEqual(typing("ru").press("\x1b[D"), { kind: "found", line: "run a", rest: "\x1b[D" });
  assert.deepEqual(typing("ru").press("\x07"), { kind: "given up", rest: "" });
  assert.deepEqual(typing("zz").press("\r"), { kind: "given up", rest: "\r" });
});
