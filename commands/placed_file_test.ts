import { deepEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { UsageError } from "../ffi/errors.ts";
import { parsePlaced } from "./placed_file.ts";

Deno.test("an address is what starts with a digit behind the last @", () => {
  const cases: [string, string, number | undefined][] = [
    ["x.bin@0x1000", "x.bin", 0x1000],
    ["x.bin@1M", "x.bin", 2 ** 20],
    ["x.bin", "x.bin", undefined],
    ["me@home.bin", "me@home.bin", undefined],
    ["a@1@0x1000", "a@1", 0x1000],
    ["a@1/b.bin", "a@1/b.bin", undefined],
    ["-@4096", "-", 4096],
  ];
  for (const [word, what, base] of cases) deepEqual(parsePlaced(word), { what, base });
});

Deno.test("a file and an address come back from the word they make", () => {
  const what = fc.string({ minLength: 1 });
  const base = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  fc.assert(fc.property(what, base, (what, base) => {
    deepEqual(parsePlaced(`${what}@0x${base.toString(16)}`), { what, base });
  }));
});

Deno.test("no file, or an address that is none, is a usage error", () => {
  for (const word of ["", "@0x1000", "x@0zz", "x@1.5", "x@99999999999999999999"]) {
    throws(() => parsePlaced(word), UsageError, word);
  }
});
