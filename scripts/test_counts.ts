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

/**
 * The names of the tests that failed.
 *
 * @param xml A report, as for {@linkcode countJunit}
 * @returns Their names, each once
 */
export function failedTests(xml: string): string[] {
  const names = new Set<string>();
  for (const [, attributes, body = ""] of xml.matchAll(CASE)) {
    if (/\bclassname="[^"]*" \(step\)/.test(attributes!)) continue;
    const name = /\bname="([^"]*)"/.exec(attributes!)?.[1];
    if (name !== undefined && /<(failure|error)\b/.test(body)) names.add(unescaped(name));
  }
  return [...names];
}

/** The characters that XML writes as entities. */
const ENTITIES: Readonly<Record<string, string>> = {
  ...{ lt: "<", gt: ">", amp: "&", quot: '"', apos: "'", "#39": "'" },
};

function unescaped(text: string): string {
  return text.replace(/&([a-z]+|#39);/g, (entity, name) => ENTITIES[name] ?? entity);
}

const CASE = /<testcase\b([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g;

/** The line that CI reads. */
export function formatCounts({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
