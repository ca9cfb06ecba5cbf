/**
 * What became of tests, read from the runners' own reports.
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

/** A test that failed. */
export interface FailedTest {
  readonly name: string;
  /** The file that it is in. */
  readonly file: string;
  /** The first line of what it said. */
  readonly reason: string;
}

/**
 * Finds the tests that failed in a JUnit report.
 *
 * @param xml The report, as for {@linkcode countJunit}
 * @returns In its order
 */
export function failedTests(xml: string): FailedTest[] {
  return [...xml.matchAll(CASE)].flatMap(([, attributes, body = ""]) => {
    const failure = /<(?:failure|error)\b([^>]*)/.exec(body);
    if (failure === null) return [];
    const reason = attribute(failure[1]!, "message").split("\n", 1)[0]!;
    return [{
      name: attribute(attributes!, "name"),
      file: attribute(attributes!, "classname"),
      reason,
    }];
  });
}

function attribute(attributes: string, name: string): string {
  const value = new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
  return value.replace(/&(lt|gt|quot|apos|amp);/g, (_, entity: string) => ENTITIES[entity]!);
}

const ENTITIES: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

const CASE = /<testcase\b([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g;

/** The line that CI reads. */
export function formatCounts({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
