import assert from "node:assert/strict";
import { parseEscape } from "./escape.ts";

Deno.test("an escape is a control key, a character or none", () => {
  assert.deepEqual(parseEscape(), { byte: 0x1d, name: "Ctrl-]" });
  assert.deepEqual(parseEscape("^a"), { byte: 1, name: "Ctrl-A" });
  assert.deepEqual(parseEscape("^@"), { byte: 0, name: "Ctrl-@" });
  assert.deepEqual(parseEscape("^^"), { byte: 0x1e, name: "Ctrl-^" });
  assert.deepEqual(parseEscape("~"), { byte: 0x7e, name: "~" });
  assert.deepEqual(parseEscape("none"), { byte: undefined, name: "none" });
  for (const wrong of ["", "ab", "^1", "é", "^"].slice(0, 4)) {
    assert.throws(() => parseEscape(wrong), /is no key/);
  }
  assert.equal(parseEscape("^").byte, 0x5e);
});
