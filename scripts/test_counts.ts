/**
 * Counts of tests, read from the runners' own reports.
 *
 * @module
 */

/** How many tests passed, failed, and were left out. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** No test at all. */
export const NOTHING: Counts = { passed: 0, failed: 0, skipped: 0 };

/** Adds counts up. */
export function sum(a: Counts, b: Counts): Counts {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
  };
}

/**
 * Counts the tests of a JUnit report, as `deno test --junit-path` writes it.
 *
 * @param xml The report
 * @returns Its counts; an error outside of any test counts as a failure
 */
export function countJunit(xml: string): Counts {
  let counts = NOTHING;
  for (const [, attributes, body = ""] of xml.matchAll(CASE)) {
    // A test step is in the report beside its test, which fails with it.
    if (/\bclassname="[^"]*" \(step\)/.test(attributes!)) continue;
    if (/<(failure|error)\b/.test(body)) counts = sum(counts, { ...NOTHING, failed: 1 });
    else if (/<skipped\b/.test(body)) counts = sum(counts, { ...NOTHING, skipped: 1 });
    else counts = sum(counts, { ...NOTHING, passed: 1 });
  }
  return counts;
}

const CASE = /<testcase\b([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g;

/** The line that CI reads. */
export function formatCounts({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
