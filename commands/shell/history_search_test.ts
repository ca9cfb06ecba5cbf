import assert from "node:assert/strict";
import { HistorySearch } from "./history_search.ts";
import { type Key, KeyDecoder } from "./keys.ts";

const lines = ["create -m 1G", "run a", "create -m 2G", "list", "create -m 2G"];

function keys(text: string): Key[] {
  const decoder = new KeyDecoder();
  decoder.push(new TextEncoder().encode(text));
  return Array.from({ length: 99 }, () => decoder.next()).filter((key) => key !== undefined);
}

function typing(text: string): HistorySearch {
  const search = new HistorySearch(lines);
  for (const key of keys(text)) assert.equal(search.press(key).kind, "going on");
  return search;
}

/** What the person sees. */
function shown(text: string): string {
  const { prompt, found } = typing(text);
  return prompt + (found ?? "");
}

Deno.test("the newest line that has the letters is found, ^R goes to older ones and ^S back", () => {
  assert.equal(shown(""), "(history) : ");
  assert.equal(shown("cre"), "(history) cre: create -m 2G");
  assert.equal(shown("cre\x12"), "(history) cre: create -m 1G");
  assert.equal(shown("cre\x12\x12"), "(no history) cre: create -m 1G");
  assert.equal(shown("cre\x12\x13"), "(history) cre: create -m 2G");
  assert.equal(shown("m 1"), "(history) m 1: create -m 1G");
  assert.equal(shown("m 1\x7f"), "(history) m : create -m 2G");
  assert.equal(shown("nope"), "(no history) nope: ");
  assert.equal(typing("-m").place, "create ".length);
});

Deno.test("another key edits what was found; ^G, or a key with nothing found, gives it up", () => {
  const [enter, left, abort] = keys("\r\x1b[D\x07") as [Key, Key, Key];
  assert.deepEqual(typing("ru").press(enter), { kind: "found", line: "run a" });
  assert.deepEqual(typing("ru").press(left), { kind: "found", line: "run a" });
  assert.deepEqual(typing("ru").press(abort), { kind: "given up" });
  assert.deepEqual(typing("zz").press(enter), { kind: "given up" });
});
