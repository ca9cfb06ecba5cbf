import assert from "node:assert/strict";
import { UsageError } from "../../ffi/errors.ts";
import type { TracedExit } from "../../vmm/debug/exit_trace.ts";
import { exitLine, exitTitle } from "./exit_line.ts";
import { difference } from "./figures.ts";
import { spanWord } from "./span_word.ts";
import { exitFromJson, exitToJson } from "./wire.ts";

Deno.test("a difference is of what is counted; what is now stays as it is", () => {
  const vcpu = (figures: Record<string, number | number[]>) => ({
    part: "vcpu" as const,
    id: 0,
    figures,
    gauges: ["guest_mode"],
  });
  const device = { part: "device" as const, id: "disk1", figures: { reads: 5 }, gauges: [] };
  assert.deepEqual(
    difference(
      [vcpu({ exits: 10, guest_mode: 1, hist: [1, 2] })],
      [vcpu({ exits: 25, guest_mode: 1, hist: [1, 5] }), device],
    ),
    [vcpu({ exits: 15, guest_mode: 1, hist: [0, 3] }), device],
  );
});

Deno.test("ports and addresses are one or a range with both its ends", () => {
  assert.deepEqual(spanWord("0x3f8", "port"), { base: 0x3f8, end: 0x3f9 });
  assert.deepEqual(spanWord("0x3f8-0x3ff", "port"), { base: 0x3f8, end: 0x400 });
  for (const word of ["", "x", "5-", "-5", "9-8", "1-2-3"]) {
    assert.throws(() => spanWord(word, "port"), UsageError, word);
  }
});

Deno.test("an exit is a line in columns, and an object with hexadecimal addresses", () => {
  const record: TracedExit = {
    time_ns: 2_000_500_000,
    vcpu: 1,
    reason: "io",
    port: 0x3f8,
    direction: "out",
    size: 1,
    value: 0x48n,
    device: "serial0",
    handled_ns: 1250,
  };
  const exit = exitToJson(record);
  assert.deepEqual(exitFromJson(exit), record);
  assert.equal(
    JSON.stringify(exit),
    '{"time_ns":2000500000,"vcpu":1,"reason":"io","port":"0x3f8","direction":"out","size":1,' +
      '"value":"0x48","device":"serial0","handled_ns":1250}',
  );
  const line = exitLine("web", exit, 2_000_000_000).trimEnd();
  assert.deepEqual(line.split(/ {2,}/), [
    ...["web", "0.000500", "1 io", "0x3f8", "out 1", "0x48 serial0", "1.3 us"],
  ]);
  assert.equal(line.length, exitTitle().trimEnd().length);
  const lost = exitLine("web", { time_ns: 0, vcpu: 0, reason: "lost", lost: 7 }, 0);
  assert.match(lost, /0 lost +7 exits\n$/);
});
