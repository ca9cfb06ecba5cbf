import assert from "node:assert/strict";
import { DocumentError } from "../../ffi/errors.ts";
import { deviceTypes, loadDeviceType } from "./registry.ts";

function moduleOf(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

async function failure(type: string, module?: string): Promise<DocumentError> {
  try {
    await loadDeviceType(type, module);
  } catch (error) {
    assert.ok(error instanceof DocumentError);
    return error;
  }
  assert.fail("it loaded");
}

Deno.test("registry: each word loads a kind of device of that name", async () => {
  for (const word of deviceTypes) {
    const type = await loadDeviceType(word);
    assert.equal(type.type, word);
    assert.ok(type.state.size > 0);
  }
});

Deno.test("registry: an unknown word is named, with the word that was meant", async () => {
  const slip = await failure("seriel");
  assert.equal(slip.message, 'No device is of type "seriel"');
  assert.equal(slip.hint, 'did you mean "serial"?');
  const strange = await failure("quantum");
  assert.match(strange.hint!, /serial, i8042, rtc/);
  assert.equal(strange.exitStatus, 125);
  assert.ok((await failure("x".repeat(1_000_000))).message.length < 200);
});

Deno.test("registry: words of Object's prototype are unknown as well", async () => {
  await failure("constructor");
  await failure("__proto__");
});

Deno.test("registry: a user's module gives its default export", async () => {
  const source = `class State { static size = 8; static fromJson() {} }
    export default { type: "mine", state: State, open: () => ({ ranges: [], reset() {} }) };`;
  const type = await loadDeviceType("module", moduleOf(source));
  assert.equal(type.type, "mine");
});

Deno.test("registry: a user's module that is no device is told what is missing", async () => {
  const cases = [
    ["export const x = 1;", /there is no default export/],
    ["export default 7;", /not an object/],
    ["export default null;", /not an object/],
    ["export default {};", /no "type"/],
    [`export default { type: "x" };`, /no "state"/],
    [`export default { type: "x", state: { size: 8 } };`, /no "state"/],
    [`export default { type: "x", state: class { static size = 8 } };`, /no "open"/],
  ] as const;
  for (const [source, message] of cases) {
    assert.match((await failure("module", moduleOf(source))).message, message);
  }
});

Deno.test("registry: a module that cannot be loaded is named by its path", async () => {
  const missing = await failure("module", "file:///nowhere/my%20device.ts");
  assert.match(missing.message, /^\/nowhere\/my device\.ts: cannot load the device: /);
  const broken = await failure("module", moduleOf("throw new Error('no luck')"));
  assert.match(broken.message, /cannot load the device: no luck/);
});
