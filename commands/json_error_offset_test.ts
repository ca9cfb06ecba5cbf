import { equal } from "node:assert/strict";
import fc from "fast-check";
import { jsonErrorOffset } from "./json_error_offset.ts";

Deno.test("the offset is that of the token at fault", () => {
  const cases: [string, number][] = [
    ['{"a":1,}', 7],
    ['{"a":NaN}', 5],
    ['{"a" 1}', 5],
    ["{a:1}", 1],
    ["[1 2]", 3],
    ["[1,", 3],
    ['{"a":01}', 5],
    ['{"a":"x\ny"}', 5],
    ["{} {}", 3],
    ["", 0],
  ];
  for (const [text, offset] of cases) equal(jsonErrorOffset(text), offset, text);
});

Deno.test("it finds an error exactly where JSON.parse does, in any text", () => {
  const mutated = fc.tuple(fc.json(), fc.nat(), fc.constantFrom("", ",", "}", '"', "0", "-", "e"))
    .map(([text, at, piece]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + piece + text.slice(place + 1);
    });
  fc.assert(fc.property(fc.oneof(fc.json(), mutated, fc.string()), (text) => {
    const offset = jsonErrorOffset(text);
    try {
      JSON.parse(text);
      return offset === text.length;
    } catch (error) {
      const position = /at position (\d+)/.exec((error as Error).message)?.[1];
      return offset <= (position === undefined ? text.length : Number(position));
    }
  }));
});
