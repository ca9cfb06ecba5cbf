import assert from "node:assert/strict";
import { type BenchResult, jsonLine, resultTable } from "./result.ts";

const result = (rest: Partial<BenchResult>): BenchResult => ({
  bench: "start",
  subject: "hvsh",
  unit: "ms",
  median: 50,
  min: 40,
  max: 60,
  n: 20,
  ...rest,
});

const rows = (results: BenchResult[]) =>
  resultTable(results).trimEnd().split("\n").slice(1).map((line) => line.split(/ {2,}/));

Deno.test("a line of JSON has exactly the seven keys, in their order", () => {
  assert.equal(
    jsonLine({ ...result({}), extra: 1 } as BenchResult),
    '{"bench":"start","subject":"hvsh","unit":"ms","median":50,"min":40,"max":60,"n":20}',
  );
});

Deno.test("the table has a title, a row for each result, and the ratio to C", () => {
  assert.equal(
    resultTable([result({}), result({ subject: "c", median: 2, min: 1, max: 4 })]),
    `BENCH  SUBJECT  MEDIAN  MIN  MAX  UNIT   N  RATIO
start  hvsh         50   40   60  ms    20  25.00 x c
start  c             2    1    4  ms    20
`,
  );
});

Deno.test("of a rate more is better: half of it is twice the cost", () => {
  const rate = { bench: "pio", unit: "exits/s" } as const;
  const table = rows([
    result({ ...rate, subject: "c", median: 100_000 }),
    result({ ...rate, subject: "hvsh-in-process", median: 50_000 }),
  ]);
  assert.equal(table[1]?.at(-1), "2.00 x c");
});

Deno.test("without C the peer is the yardstick, without any there is no ratio", () => {
  const table = rows([
    result({ median: 40 }),
    result({ subject: "qemu", median: 50 }),
    result({ bench: "boot", unit: "s" }),
  ]);
  assert.equal(table[0]?.at(-1), "0.80 x qemu");
  assert.equal(table[2]?.length, 7);
});

Deno.test("a bench is measured against its own yardstick only", () => {
  const table = rows([
    result({ subject: "c", median: 2 }),
    result({ bench: "kick", median: 6 }),
    result({ bench: "kick", subject: "c", median: 3 }),
  ]);
  assert.equal(table[1]?.at(-1), "2.00 x c");
});
