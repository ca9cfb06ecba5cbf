import assert from "node:assert/strict";
import fc from "fast-check";
import { UsageError } from "../ffi/errors.ts";
import { quotedWord, quotedWords } from "./quoted_words.ts";

Deno.test("words are parted at blanks that no quotes keep", () => {
  assert.deepEqual(quotedWords("  a.img --readonly\t-n  x "), ["a.img", "--readonly", "-n", "x"]);
  assert.deepEqual(quotedWords("'My Docs':docs --writable"), ["My Docs:docs", "--writable"]);
  assert.deepEqual(quotedWords("\"a \\\" b\\c\" d\\ e 'f\\' ''"), ['a " b\\c', "d e", "f\\", ""]);
  assert.deepEqual(quotedWords("tail\\"), ["tail\\"]);
  assert.deepEqual(quotedWords(" "), []);
  assert.deepEqual(quotedWord("ext2fs  a  b"), { word: "ext2fs", end: 6 });
});

Deno.test("a quote without an end is an error that shows it", () => {
  for (const text of ["'a b", 'x "a\\"', "a 'b' 'c"]) {
    assert.throws(
      () => quotedWords(text),
      (error: Error) => error instanceof UsageError && /has no end/.test(error.message),
    );
  }
});

Deno.test("whatever words are quoted come back", () => {
  const quotes = [
    (word: string) => `'${word.replaceAll("'", `'\\''`)}'`,
    (word: string) => `"${word.replace(/["\\$`]/g, "\\$&")}"`,
  ];
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.string(), fc.constantFrom(...quotes))),
    (words) => {
      const text = words.map(([word, quote]) => quote(word)).join(" ");
      assert.deepEqual(quotedWords(text), words.map(([word]) => word));
    },
  ));
});
