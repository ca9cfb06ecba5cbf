import assert from "node:assert/strict";
import fc from "fast-check";
import { globPattern } from "./glob.ts";

Deno.test("patterns match as in sh", () => {
  const names = ["web", "web1", "web2", "db-1", "a.b", "axb", "-"];
  const matched = (word: string) => names.filter((name) => globPattern(word)!.test(name)).join(" ");
  assert.equal(matched("*"), names.join(" "));
  assert.equal(matched("web*"), "web web1 web2");
  assert.equal(matched("web?"), "web1 web2");
  assert.equal(matched("web[13-9]"), "web1");
  assert.equal(matched("web[!1]"), "web2");
  assert.equal(matched("*.b"), "a.b");
  assert.equal(matched("*-[0-9]"), "db-1");
  assert.equal(matched("[]-]"), "-");
  assert.equal(matched("[z-a]"), "");
  assert.equal(matched("[*"), "");
  assert.equal(globPattern("web"), undefined);
});

Deno.test("no word is too strange for a pattern", () => {
  fc.assert(fc.property(fc.string(), (word) => {
    globPattern(`*${word}`)!.test("web");
  }));
});
