import assert from "node:assert/strict";
import { interleave } from "./interleave.ts";
import type { Subject } from "./result.ts";

function recorder(log: string[]) {
  return (subject: Subject) => {
    let count = 0;
    return {
      subject,
      measure() {
        log.push(subject);
        return Promise.resolve(count++);
      },
    };
  };
}

Deno.test("subjects take turns, and the turn is turned round each time", async () => {
  const log: string[] = [];
  const contestants = (["c", "hvsh"] as const).map(recorder(log));
  await interleave(contestants, { count: 3, warmUp: 0 });
  assert.deepEqual(log, ["c", "hvsh", "hvsh", "c", "c", "hvsh"]);
});

Deno.test("what is measured while warming up does not count", async () => {
  const contestants = (["c", "qemu"] as const).map(recorder([]));
  const samples = await interleave(contestants, { count: 2, warmUp: 3 });
  assert.deepEqual([...samples], [["c", [3, 4]], ["qemu", [3, 4]]]);
});

Deno.test("who takes part in some rounds only is measured in those", async () => {
  const log: string[] = [];
  const record = recorder(log);
  await interleave([record("c"), { ...record("qemu"), every: 2 }], { count: 4, warmUp: 0 });
  assert.deepEqual(log, ["c", "qemu", "c", "c", "qemu", "c"]);
});
