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

Deno.test("a report's failed tests are known by their names", () => {
  const names = failedTests(`<testsuite name="./on_kvm.ts">
      <testcase name="is &quot;right&quot;" classname="./a_test.ts"></testcase>
      <testcase name="1 &lt; 2 &amp; it&apos;s" classname="./a_test.ts"><failure/></testcase>
      <testcase name="a step" classname="./a_test.ts" (step)><failure/></testcase>
      <testcase name="throws" classname="./a_test.ts"><error message="x"/></testcase>
    </testsuite>`);
  assert.deepEqual(names, ["1 < 2 & it's", "throws"]);
});
