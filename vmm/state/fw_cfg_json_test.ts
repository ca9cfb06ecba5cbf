import assert from "node:assert/strict";
import fc from "fast-check";
import { DocumentError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import { fwCfgFromJson, fwCfgToJson } from "./fw_cfg_json.ts";

function shared(bytes: Uint8Array): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}

/** What can be compared. */
function plain(config: Record<string, unknown>): unknown {
  const { items, files } = config as Record<string, { data: SharedArrayBuffer }[]>;
  const open = (list: { data: SharedArrayBuffer }[]) =>
    list.map(({ data, ...rest }) => ({ ...rest, data: [...new Uint8Array(data)] }));
  return { items: open(items!), files: open(files!) };
}

Deno.test("what fw_cfg hands out is read as it was written", () => {
  const data = fc.uint8Array({ maxLength: 200 }).map(shared);
  const config = fc.record({
    items: fc.array(fc.record({ key: fc.integer({ min: 0, max: 0xffff }), data })),
    files: fc.array(fc.record({ name: fc.stringMatching(/^[a-z/]{1,55}$/), data })),
  });
  fc.assert(fc.property(config, (config) => {
    const json = JSON.parse(JSON.stringify(fwCfgToJson(config))) as Json;
    assert.deepEqual(plain(fwCfgFromJson(json, "fw_cfg.json")), plain(config));
  }));
});

Deno.test("a record that can't be fw_cfg's is refused by its name and the key", () => {
  const item = { key: "0x5", data: "AA==" };
  const wrong: [Json, RegExp][] = [
    [null, /^fw_cfg\.json, items: is no object/],
    [[], /^fw_cfg\.json, items: is no object/],
    [{}, /^fw_cfg\.json, items: is no array/],
    [{ items: [] }, /^fw_cfg\.json, files: is no array/],
    [{ items: [1], files: [] }, /^fw_cfg\.json, items: is no object/],
    [{ items: [{ key: 5, data: "" }], files: [] }, /^fw_cfg\.json, items: is 5/],
    [{ items: [{ ...item, key: "0x10000" }], files: [] }, /^fw_cfg\.json, items: /],
    [{ items: [{ ...item, data: "%" }], files: [] }, /^fw_cfg\.json, items: is no base64/],
    [{ items: [item], files: [{ name: 5, data: "" }] }, /^fw_cfg\.json, files: has a bad name/],
    [{ items: [], files: [{ name: "a".repeat(56), data: "" }] }, /^fw_cfg\.json, files: has a bad/],
    [{ items: [], files: [{ name: "a\0b", data: "" }] }, /^fw_cfg\.json, files: has a bad name/],
    [{ items: [], files: [{ name: "ü", data: "" }] }, /^fw_cfg\.json, files: has a bad name/],
    [{ items: Array(1025).fill(item), files: [] }, /^fw_cfg\.json, items: has 1025/],
  ];
  for (const [json, says] of wrong) {
    assert.throws(() => fwCfgFromJson(json, "fw_cfg.json"), (error: Error) => {
      assert.ok(error instanceof DocumentError, error.stack);
      assert.match(error.message, says);
      return true;
    });
  }
});
