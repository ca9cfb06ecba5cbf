/**
 * A result of a bench, and its two forms: a line of JSON, and a row of a table with the ratio to
 * what it is measured against.
 *
 * @module
 */
import { renderTable } from "../../commands/text_table.ts";
import type { Summary } from "./statistics.ts";

/** Who was measured. */
export type Subject =
  /** `scripts/hvsh`, a process for each sample. */
  | "hvsh"
  /** The same with memory from a file that is mapped, and with memory that comes while the VM runs. */
  | "hvsh-mapped"
  | "hvsh-lazy"
  /** hvsh's `Machine` in one process that goes on. */
  | "hvsh-in-process"
  /** The same while every exit is traced. */
  | "hvsh-traced"
  /** The same with a network by libslirp, and by passt. */
  | "hvsh-slirp"
  | "hvsh-passt"
  /** c_vmm.c. */
  | "c"
  /** The same with KVM's calls in hvsh's order, in place of the usual one. */
  | "c-slots-first"
  /** `qemu-system-x86_64`. */
  | "qemu"
  /** The same with guest memory in a memfd, as hvsh has it. */
  | "qemu-memfd"
  /** kvmtool. */
  | "lkvm"
  /** A program without a VM: as fast as this machine can be. */
  | "host";

/** What a bench's numbers are. */
export type Unit =
  | "exits/s"
  | "requests/s"
  | "frames/s"
  | "forks/s"
  | "MB/s"
  | "ms"
  | "us"
  | "s"
  | "KiB";

/** What one subject did in one bench. */
export interface BenchResult extends Summary {
  readonly bench: string;
  readonly subject: Subject;
  readonly unit: Unit;
}

/** Units of which more is better. */
const RATES: readonly Unit[] = ["exits/s", "requests/s", "frames/s", "forks/s", "MB/s"];
/** What to measure the others against: the first of these that took part. */
const YARDSTICKS: readonly Subject[] = ["c", "qemu", "lkvm", "host"];

/**
 * A result as one line of JSON, without its end.
 *
 * @param result The result
 * @returns Exactly the keys `bench`, `subject`, `unit`, `median`, `min`, `max`, `n`
 */
export function jsonLine({ bench, subject, unit, median, min, max, n }: BenchResult): string {
  return JSON.stringify({ bench, subject, unit, median, min, max, n });
}

/**
 * Results as a table. A ratio of 1.05 means five percent slower, or larger, than the yardstick.
 *
 * @param results What was measured; results of one bench stand together
 * @returns Lines with line ends
 */
export function resultTable(results: readonly BenchResult[]): string {
  const right = (title: string) => ({ title, right: true });
  const left = (title: string) => ({ title, right: false });
  return renderTable(
    [
      left("BENCH"),
      left("SUBJECT"),
      right("MEDIAN"),
      right("MIN"),
      right("MAX"),
      left("UNIT"),
      right("N"),
      left("RATIO"),
    ],
    results.map((result) => [
      result.bench,
      result.subject,
      ...[result.median, result.min, result.max].map(String),
      result.unit,
      String(result.n),
      ratioText(result, yardstickOf(result, results)),
    ]),
  );
}

function yardstickOf(
  { bench }: BenchResult,
  results: readonly BenchResult[],
): BenchResult | undefined {
  const peers = results.filter((result) => result.bench === bench);
  return YARDSTICKS.map((subject) => peers.find((peer) => peer.subject === subject))
    .find((peer) => peer !== undefined);
}

function ratioText(result: BenchResult, yardstick: BenchResult | undefined): string {
  if (yardstick === undefined || yardstick === result) return "";
  const [cost, base] = RATES.includes(result.unit)
    ? [yardstick.median, result.median]
    : [result.median, yardstick.median];
  return `${(cost / base).toFixed(2)} x ${yardstick.subject}`;
}
