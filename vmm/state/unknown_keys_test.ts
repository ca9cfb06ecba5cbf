import assert from "node:assert/strict";
import type { DeviceRecord } from "./device_state.ts";
import { unknownKeys, withUnknown } from "./unknown_keys.ts";

const known = {
  name: "net0",
  type: "net",
  state: { mac: "52:54:00:00:00:01" },
  queues: [{ size: 8 }],
} satisfies DeviceRecord;

Deno.test("keys that nobody knows are found and put back, wherever they stand", () => {
  const more = {
    ...known,
    state: { ...known.state, later: { a: [1] } },
    queues: [{ size: 8, later: 1 }],
    extra: null,
    ["__proto__x"]: 1,
  };
  const unknown = unknownKeys([more, { name: "gone", type: "x", a: 1 }], [known]);
  assert.deepEqual([...unknown.keys()], ["net0"]);
  const now = { ...known, state: { mac: "52:54:00:00:00:02" } };
  assert.deepEqual(withUnknown(now, unknown.get("net0")), {
    ...now,
    state: { ...now.state, later: { a: [1] } },
    extra: null,
    ["__proto__x"]: 1,
  });
});

Deno.test("a record that says what is known has nothing to keep", () => {
  assert.equal(unknownKeys([known], [known]).size, 0);
  assert.equal(withUnknown(known, undefined), known);
});

Deno.test("what was kept of a device is not another's that has its name", () => {
  const unknown = unknownKeys([{ ...known, later: 1 }], [known]).get("net0");
  const other = { name: "net0", type: "disk" };
  assert.deepEqual(withUnknown(other, unknown), other);
});

Deno.test("a key named __proto__ is one like any other", () => {
  const record = JSON.parse('{"name":"a","type":"b","__proto__":{"polluted":1}}') as DeviceRecord;
  const own = { name: "a", type: "b" };
  const whole = withUnknown(own, unknownKeys([record], [own]).get("a"));
  assert.equal(JSON.stringify(whole), '{"name":"a","type":"b","__proto__":{"polluted":1}}');
  assert.equal(({} as { polluted?: number }).polluted, undefined);
});
