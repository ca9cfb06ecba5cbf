import assert from "node:assert/strict";
import { whileThere } from "./while_there.ts";

const GONE = { name: "VmError", message: "The client is gone" };

Deno.test("what is waited for comes, or fails, as long as the client is there", async () => {
  const { signal } = new AbortController();
  assert.equal(await whileThere(Promise.resolve(1), signal), 1);
  await assert.rejects(whileThere(Promise.reject(new Error("no")), signal), { message: "no" });
});

Deno.test("a wait ends with its client, and begins with none that is gone", async () => {
  const leaving = new AbortController();
  const never = Promise.withResolvers<void>();
  const waiting = whileThere(never.promise, leaving.signal);
  leaving.abort();
  await assert.rejects(waiting, GONE);
  await assert.rejects(whileThere(never.promise, leaving.signal), GONE);
  never.reject(new Error("nobody waits for it any more"));
});
