/**
 * Measuring several subjects side by side: a sample of each in turn, so that a neighbour that makes
 * the machine slow for a while makes it slow for all of them.
 *
 * @module
 */
import { setImmediate as turn } from "node:timers/promises";
import type { Subject } from "./result.ts";

/** When to stop early, on a machine that is much slower than those the counts are meant for. */
const LIMIT_MILLISECONDS = 20_000;
/** Rounds that count in any case. */
const LEAST_ROUNDS = 3;

/** Somebody who can be measured. */
export interface Contestant<Sample> {
  readonly subject: Subject;
  /** Takes part in each round of which this is a divisor; in all of them if left out. */
  readonly every?: number;
  /** Takes one sample. */
  measure(): Promise<Sample>;
}

/** How much to measure. */
export interface Rounds {
  /** Rounds that count. */
  readonly count: number;
  /** Rounds before them whose samples are thrown away: compilers and caches get warm. */
  readonly warmUp: number;
  /** Ends the measuring between two samples. */
  readonly signal?: AbortSignal;
}

/**
 * Takes samples in turn: A B, then B A, and so on, so that nobody always comes after the same.
 *
 * @param contestants Whom to measure
 * @param rounds How often
 * @returns The samples of each
 */
export async function interleave<Sample>(
  contestants: readonly Contestant<Sample>[],
  { count, warmUp, signal }: Rounds,
): Promise<Map<Subject, Sample[]>> {
  const samples = new Map(contestants.map(({ subject }) => [subject, [] as Sample[]]));
  const started = performance.now();
  for (let round = -warmUp; round < count; round++) {
    if (performance.now() - started > LIMIT_MILLISECONDS) {
      if (round >= LEAST_ROUNDS) break;
      round = Math.max(round, 0);
    }
    const order = round % 2 === 0 ? contestants : contestants.toReversed();
    for (const contestant of order) {
      if (round % (contestant.every ?? 1) !== 0) continue;
      await turn(); // signals come in here, whatever the sample awaits
      signal?.throwIfAborted();
      const sample = await contestant.measure();
      if (round >= 0) samples.get(contestant.subject)!.push(sample);
    }
  }
  return samples;
}
