import "../../tests/c_library.ts";
import assert from "node:assert/strict";
import { lives, ownIdentity } from "./process_identity.ts";

Deno.test("a process lives until it has ended, whether or not its parent has heard", async () => {
  const own = ownIdentity();
  assert.equal(lives(JSON.parse(JSON.stringify(own))), true);
  const { pid, status } = new Deno.Command("true").spawn();
  await status;
  assert.equal(lives({ ...own, pid }), false);
});

Deno.test("another process that has got the same number is another one", () => {
  assert.equal(lives({ ...ownIdentity(), start: "1" }), false);
});

Deno.test("what is no process of this host can't be known", () => {
  const own = ownIdentity();
  for (const there of [{ ...own, boot: "another" }, { ...own, namespace: "pid:[1]" }, undefined]) {
    assert.equal(lives(there), undefined);
  }
  for (const wrong of [null, 5, "x", {}, { ...own, pid: "1" }, { ...own, pid: 1.5 }]) {
    assert.equal(lives(wrong), undefined);
  }
});
