import assert from "node:assert/strict";
import fc from "fast-check";
import { jsonErrorOffset } from "../json_error_offset.ts";
import { isBeginning } from "./json_beginning.ts";

Deno.test("every part of a JSON text up to some place is its beginning", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.boolean(), fc.nat(), (value, spaced, at) => {
    const text = JSON.stringify([value], undefined, spaced ? 2 : 0);
    const part = text.slice(0, at % text.length);
    assert.ok(isBeginning(part, jsonErrorOffset(part)), part);
  }));
});

Deno.test("what can't become JSON is no beginning", () => {
  for (const text of ['{"vm":1,,', "{x", '["a" "b"', "[1 2]", "[truf", "[,", '{"a":}', "]"]) {
    assert.ok(!isBeginning(text, jsonErrorOffset(text)), text);
  }
});
