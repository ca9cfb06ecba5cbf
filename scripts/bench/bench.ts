/**
 * What a bench is.
 *
 * @module
 */
import type { BenchResult, Subject, Unit } from "./result.ts";
import { summarize } from "./statistics.ts";
import type { Workbench } from "./workbench.ts";

/** One bench. */
export interface Bench {
  /** Its words on the command line and in results, and what each measures, in a line. */
  readonly names: Readonly<Record<string, string>>;
  /**
   * Measures.
   *
   * @param bench What to work with
   * @param warn Told what is left out, and why
   * @param isWanted Tells whether a name is: others may be measured too, or left out
   * @returns A result for each name and subject that took part
   */
  run(
    bench: Workbench,
    warn: (line: string) => void,
    isWanted: (name: string) => boolean,
  ): Promise<BenchResult[]>;
}

/**
 * Sums up what subjects did in a bench.
 *
 * @param bench Its name
 * @param unit What the samples are
 * @param samples The samples of each subject
 * @returns A result for each subject
 */
export function resultsOf(
  bench: string,
  unit: Unit,
  samples: ReadonlyMap<Subject, readonly number[]>,
): BenchResult[] {
  return [...samples].map(([subject, values]) => ({ bench, subject, unit, ...summarize(values) }));
}
