import assert from "node:assert/strict";
import { countJunit, failedTests, formatCounts } from "./test_counts.ts";

Deno.test("a report's tests are counted by what became of them", () => {
  const counts = countJunit(`<?xml version="1.0"?>
    <testsuites name="deno test" tests="4" failures="1" errors="0">
      <testsuite name="./a_test.ts" tests="4">
        <testcase name="works" classname="./a_test.ts" time="0.1" line="1"/>
        <testcase name="works too" classname="./a_test.ts" time="0.1"></testcase>
        <testcase name="fails" classname="./a_test.ts"><failure message="x">y</failure></testcase>
        <testcase name="is left out" classname="./a_test.ts"><skipped/></testcase>
      </testsuite>
    </testsuites>`);
  assert.deepEqual(counts, { passed: 2, failed: 1, skipped: 1 });
  assert.equal(formatCounts(counts), "2 passed, 1 failed, 1 skipped");
});

Deno.test("a report's failed tests are named, with the first line of what they said", () => {
  const failed = failedTests(`
    <testcase name="works" classname="./a_test.ts" time="0.1"/>
    <testcase name="says &lt;&quot;&amp;amp;&quot;&gt;" classname="./b_test.ts" time="0.1" line="1">
      <failure message="Uncaught Error: not &apos;so&apos;
second line">Error: not &apos;so&apos;
    at file:///b_test.ts:1:42</failure>
    </testcase>
    <testcase name="breaks" classname="./c_test.ts"><error message="boom">y</error></testcase>`);
  assert.deepEqual(failed, [
    { name: 'says <"&amp;">', file: "./b_test.ts", reason: "Uncaught Error: not 'so'" },
    { name: "breaks", file: "./c_test.ts", reason: "boom" },
  ]);
});
