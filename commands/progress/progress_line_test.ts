import { equal, ok } from "node:assert/strict";
import { textWidth } from "../text_width.ts";
import fc from "fast-check";
import { progressLine, type ProgressState, summaryLine } from "./progress_line.ts";

const MIB = 2 ** 20;
const half: ProgressState = {
  label: "web",
  unit: "bytes",
  done: 256 * MIB,
  total: 512 * MIB,
  rate: 128 * MIB,
  milliseconds: 2000,
};

Deno.test("a bar takes the room that is left", () => {
  equal(
    progressLine(half, 80),
    "web: 256 MiB of 512 MiB  [============>            ]  50 %  128 MiB/s  0:02 left",
  );
  equal(
    progressLine({ ...half, phase: "round 2", done: 512 * MIB }, 70),
    "web: round 2  512 MiB of 512 MiB  [=================] 100 %  128 MiB/s",
  );
});

Deno.test("on a narrow terminal the bar goes first, then the rate, what is left, the amount", () => {
  equal(progressLine(half, 60), "web: 256 MiB of 512 MiB   50 %  128 MiB/s  0:02 left");
  equal(progressLine(half, 45), "web: 256 MiB of 512 MiB   50 %  0:02 left");
  equal(progressLine(half, 34), "web: 256 MiB of 512 MiB   50 %");
  equal(progressLine(half, 20), "web:  50 %");
  equal(progressLine(half, 6), "web: …");
});

Deno.test("without a total there is neither a bar nor a guess", () => {
  const { total: _, ...unknown } = half;
  equal(progressLine(unknown, 80), "web: 256 MiB  128 MiB/s  0:02");
});

Deno.test("how much is done may be known otherwise than from the count", () => {
  const { total: _, ...sparse } = half;
  equal(
    progressLine({ ...sparse, fraction: 0.25 }, 50),
    "web: 256 MiB   25 %  128 MiB/s  0:06 left",
  );
});

Deno.test("things are counted, and who waits counts nothing", () => {
  const copies = { label: "gold", unit: "copies", done: 3, total: 12, rate: 1.5 };
  equal(
    progressLine({ ...copies, milliseconds: 2000 }, 50),
    "gold: 3 of 12 copies   25 %  1.5/s  0:06 left",
  );
  const waiting = { label: "web", phase: "waiting for its end", done: 0, rate: 0 };
  equal(progressLine({ ...waiting, milliseconds: 61_000 }, 80), "web: waiting for its end  1:01");
  equal(
    progressLine({ ...waiting, milliseconds: 61_000, limit: 3_600_000 }, 80),
    "web: waiting for its end  1:01 of 1:00:00",
  );
});

Deno.test("at the end there is one line", () => {
  equal(
    summaryLine({ ...half, done: 512 * MIB, milliseconds: 300 }),
    "web: 512 MiB in 0.3 s, 1.7 GiB/s",
  );
  equal(summaryLine({ ...half, done: 10, milliseconds: 0 }), "web: 10 B in 0.0 s, 9.8 KiB/s");
});

Deno.test("a line is never wider than its terminal", () => {
  const number = fc.double({ min: 0, max: 2 ** 60, noNaN: true });
  const state = fc.record({
    label: fc.string({ unit: "grapheme" }).map((text) => text.replace(/\p{Cc}/gu, "")),
    unit: fc.constantFrom("bytes", "copies"),
    done: number,
    total: number,
    rate: number,
    milliseconds: number,
  });
  fc.assert(fc.property(state, fc.nat(200), (state, width) => {
    ok(textWidth(progressLine(state, width)) <= width);
  }));
});
