import assert from "node:assert/strict";
import fc from "fast-check";
import { DocumentError } from "../../ffi/errors.ts";
import {
  base64,
  bytesOfBase64,
  field,
  hex,
  objectOf,
  parseRecord,
  wideNumber,
} from "./json_fields.ts";

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("numbers and bytes are read as they were written", () => {
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
    assert.equal(wideNumber(hex(value), 64), value);
  }));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 1000 }), (bytes) => {
    assert.deepEqual(bytesOfBase64(base64(bytes)), bytes);
  }));
  const large = new Uint8Array(300_000).fill(0xa5);
  assert.deepEqual(bytesOfBase64(base64(large)), large);
});

Deno.test("a number is what it is written as, within its bits, and nothing else", () => {
  assert.equal(wideNumber("0xFF", 8), 255n);
  const wrong = [256, "256", "0x100", "-0x1", "0x", "0x1 ", "", null, undefined, [], {}, "0x1n"];
  for (const json of wrong) assert.throws(() => wideNumber(json, 8), TypeError, String(json));
  assert.throws(() => wideNumber(`0x1${"0".repeat(16)}`, 64), TypeError);
});

Deno.test("what an error shows of a value is short", () => {
  const deep = JSON.parse("[".repeat(10_000) + "]".repeat(10_000));
  for (const json of ["a".repeat(10 ** 7), Array(10 ** 6).fill(0), deep]) {
    assert.throws(
      () => wideNumber(json, 64),
      (error: Error) => error instanceof TypeError && error.message.length < 200,
    );
  }
});

Deno.test("what is no object or no base64 is a TypeError", () => {
  for (const json of [null, undefined, 1, "x", true, [], [{}]]) {
    assert.throws(() => objectOf(json), TypeError);
  }
  for (const json of [null, undefined, 1, {}, "=", "a", "€", "ab\0d"]) {
    assert.throws(() => bytesOfBase64(json as string), TypeError, String(json));
  }
});

Deno.test("an error names the record and the field", () => {
  assert.throws(
    () => field("cpu/0.json", "msrs", () => wideNumber(1, 64)),
    (error: Error) =>
      error instanceof DocumentError && error.message.startsWith("cpu/0.json, msrs: is 1, not a"),
  );
  const other = new RangeError("another");
  assert.throws(() =>
    field("a", "b", () => {
      throw other;
    }), other);
});

Deno.test("a record that is no JSON, not UTF-8 or too deep is refused by its name", () => {
  const deep = (n: number) => encode("[".repeat(n) + "]".repeat(n));
  const wrong = [
    ...["", "{", "nonsense", "1 2", "NaN", '{"a":}', '"\\"'].map(encode),
    Uint8Array.of(0x22, 0xff, 0x22),
    deep(101),
    deep(1_000_000),
    encode('{"a":'.repeat(1000)),
  ];
  for (const content of wrong) {
    assert.throws(() => parseRecord("dev/a.json", content), (error: Error) => {
      assert.ok(error instanceof DocumentError, error.stack);
      assert.match(error.message, /^dev\/a\.json /);
      return true;
    });
  }
  assert.ok(parseRecord("dev/a.json", deep(100)));
  const quoted = { text: '[[[{{\\"'.repeat(1000) };
  assert.deepEqual(parseRecord("dev/a.json", encode(JSON.stringify(quoted))), quoted);
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 5 }), (json) => {
    assert.deepEqual(
      parseRecord("a", encode(JSON.stringify(json))),
      JSON.parse(JSON.stringify(json)),
    );
  }));
});
