import assert from "node:assert/strict";
import { DocumentError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import { regionsFromJson, savedRegions } from "./regions.ts";

const slot = { address: 0n, base: 0, size: 4096, ram: true, readonly: false };

Deno.test("regions are named by their kind and read back from their JSON", () => {
  const shared = { path: "/tmp/a", offset: 8192 };
  const regions = savedRegions([
    slot,
    { ...slot, base: 0xc000_0000, ram: false, shared },
    { ...slot, base: 0xffff_f000, ram: false, readonly: true },
    { ...slot, base: 2 ** 32, size: 2 ** 40 },
  ]);
  assert.deepEqual(regions.map(({ name }) => name), ["ram0", "file0", "rom0", "ram1"]);
  assert.deepEqual(regions[1]!.shared, shared);
  const json = JSON.parse(JSON.stringify(regions)) as Json;
  assert.deepEqual(regionsFromJson(json, "vm.json"), regions);
});

const good = { name: "ram0", base: 0, size: 4096, ram: true, readonly: false };

Deno.test("regions that can't be are refused by the record's name and the key", () => {
  const wrong: [Json | undefined, RegExp][] = [
    [undefined, /^vm\.json, state\.memory: is no array/],
    [{ length: 1, 0: good }, /^vm\.json, state\.memory: is no array/],
    [[null], /^vm\.json, state\.memory\[0\]: is no object/],
    [[good, []], /^vm\.json, state\.memory\[1\]: is no object/],
    [[good, good], /^vm\.json, state\.memory\[1\]: "ram0" is no name/],
    [Array.from({ length: 510 }, (_, i) => ({ ...good, name: `ram${i}` })), /510 regions/],
  ];
  const keys: [Record<string, Json>, RegExp][] = [
    [{ name: "../x" }, /no name/],
    [{ name: "ram0/x" }, /no name/],
    [{ name: 1 }, /no name/],
    [{ name: `ram${"0".repeat(10 ** 6)}` }, /no name/],
    [{ name: "__proto__" }, /no name/],
    [{ base: -1 }, /"base" is -1/],
    [{ base: 0.5 }, /"base" is 0\.5/],
    [{ base: "0x0" }, /"base" is "0x0"/],
    [{ base: null }, /"base" is null/],
    [{ base: 2 ** 53 }, /"base" is/],
    [{ size: 1e300 }, /"size" is 1e\+300/],
    [{ size: [] }, /"size" is \[\]/],
    [{ ram: 1 }, /"ram"/],
    [{ readonly: "no" }, /"readonly"/],
    [{ shared: "/etc/passwd" }, /is no object/],
    [{ shared: {} }, /no path/],
    [{ shared: { path: "", offset: 0 } }, /no path/],
    [{ shared: { path: "a\0b", offset: 0 } }, /no path/],
    [{ shared: { path: "/a" } }, /"shared\.offset" is undefined/],
    [{ shared: { path: "/a", offset: -4096 } }, /"shared\.offset" is -4096/],
  ];
  for (const [change, says] of keys) wrong.push([[{ ...good, ...change }], says]);
  for (const [json, says] of wrong) {
    assert.throws(() => regionsFromJson(json, "vm.json"), (error: Error) => {
      assert.ok(error instanceof DocumentError, error.stack);
      assert.match(error.message, /^vm\.json, state\.memory/);
      assert.match(error.message, says);
      assert.ok(error.message.length < 300);
      return true;
    });
  }
});

Deno.test("keys of a region that nobody knows are left out of account", () => {
  assert.deepEqual(regionsFromJson([{ ...good, later: { a: 1 } }], "vm.json"), [good]);
});
