/**
 * What a bench has to say of its samples. The machines that run it are shared, so a mean would
 * report the neighbours.
 *
 * @module
 */

/** What many samples come to. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** How many samples there were. */
  readonly n: number;
}

/** More digits than that no measurement here has. */
const DIGITS = 4;

/**
 * Sums samples up.
 *
 * @param samples Measured values, at least one
 * @returns Their summary, in numbers of four digits
 * @throws {RangeError} If there are no samples
 */
export function summarize(samples: readonly number[]): Summary {
  if (samples.length === 0) throw new RangeError("Cannot sum up no samples");
  const sorted = samples.toSorted((a, b) => a - b);
  return {
    median: significant(middle(sorted)),
    min: significant(sorted[0]!),
    max: significant(sorted.at(-1)!),
    n: sorted.length,
  };
}

function middle(sorted: readonly number[]): number {
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

function significant(value: number): number {
  const rounded = Number(value.toPrecision(DIGITS));
  return Math.abs(value) >= 10 ** DIGITS ? Math.round(value) : rounded;
}
