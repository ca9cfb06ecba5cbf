/**
 * How far long work has come, as a line of text.
 *
 * @module
 */
import { textWidth } from "../text_width.ts";
import { cutText, plainText } from "../text_cut.ts";
import { clockText, sizeText } from "./amount_text.ts";

/** Work that goes on. */
export interface ProgressState {
  /** What is worked on: the VM's name. */
  readonly label: string;
  /** What is done to it now: `round 2`. */
  readonly phase?: string | undefined;
  /** What is counted: bytes, or things by their name, `copies`; nothing where one only waits. */
  readonly unit?: string | undefined;
  /** How many so far. */
  readonly done: number;
  /** How many there will be, if that is known. */
  readonly total?: number | undefined;
  /** How much of the work is done, from 0 to 1, if that is known. */
  readonly fraction?: number | undefined;
  /** How many a second of late. */
  readonly rate: number;
  /** Since it began. */
  readonly milliseconds: number;
  /** How long it may take at most. */
  readonly limit?: number | undefined;
}

const LEAST_BAR = 10;
const MOST_BAR = 40;
/** Of the work: what is left is a guess before that. */
const LEAST_FRACTION = 0.01;
const MOST_LEFT_MILLISECONDS = 100 * 3600_000;

/**
 * Renders it. What there is no room for is left out: first the bar, then the rate, what is left, the amount.
 *
 * @param state The work
 * @param width The longest line, in columns
 * @example
 * ```ts
 * import { progressLine } from "./progress_line.ts";
 *
 * const state = { label: "web", unit: "bytes", done: 2 ** 28, total: 2 ** 29, rate: 2 ** 28 };
 * console.log(progressLine({ ...state, milliseconds: 1000 }, 60));
 * // web: 256 MiB of 512 MiB [======>    ]  50 %  256 MiB/s  0:01 left
 * ```
 */
export function progressLine(state: ProgressState, width: number): string {
  const { label, phase } = state;
  const head = plainText(phase === undefined ? `${label}:` : `${label}: ${phase}`);
  const fraction = fractionOf(state);
  const percent = fraction === undefined ? [] : [`${Math.floor(fraction * 100)} %`.padStart(5)];
  const left = fraction === undefined ? [waitingText(state)] : leftText(state, fraction);
  const rate = state.unit === undefined || state.rate <= 0 ? [] : [rateText(state)];
  const amount = state.unit === undefined ? [] : [amountText(state)];
  const lines = [
    [...amount, ...percent, ...rate, ...left],
    [...amount, ...percent, ...left],
    [...amount, ...percent],
    percent.length > 0 ? percent : amount,
  ].map((parts) => [head, ...parts].join("  ").replace(":  ", ": "));
  const line = lines.find((text) => textWidth(text) <= width);
  if (line === undefined) return cutText(lines.at(-1)!, width);
  if (fraction === undefined || line !== lines[0]) return line;
  const room = Math.min(MOST_BAR, width - textWidth(line) - 1);
  if (room < LEAST_BAR) return line;
  return line.replace(percent[0]!, `${bar(fraction, room)} ${percent[0]}`);
}

/**
 * What is said at the end.
 *
 * @param state The work, which is done
 * @returns `web: 512 MiB in 0.3 s, 1.7 GiB/s`
 */
export function summaryLine({ label, done, milliseconds }: ProgressState): string {
  const seconds = Math.max(milliseconds, 1) / 1000;
  const time = seconds < 100 ? `${seconds.toFixed(1)} s` : clockText(milliseconds);
  return `${label}: ${sizeText(done)} in ${time}, ${sizeText(done / seconds)}/s`;
}

function fractionOf({ fraction, done, total }: ProgressState): number | undefined {
  const share = fraction ?? (total === undefined || total <= 0 ? undefined : done / total);
  return share === undefined ? undefined : Math.min(1, Math.max(0, share));
}

function bar(fraction: number, width: number): string {
  const inside = width - 2;
  const full = Math.floor(fraction * inside);
  const tip = full < inside ? ">" : "";
  return `[${("=".repeat(full) + tip).slice(0, inside).padEnd(inside)}]`;
}

function amountText({ unit, done, total }: ProgressState): string {
  const text = (count: number) => unit === "bytes" ? sizeText(count) : `${Math.round(count)}`;
  const amount = total === undefined ? text(done) : `${text(done)} of ${text(total)}`;
  return unit === "bytes" ? amount : `${amount} ${unit}`;
}

function rateText({ unit, rate }: ProgressState): string {
  if (unit === "bytes") return `${sizeText(rate)}/s`;
  return `${rate < 10 ? rate.toFixed(1) : Math.round(rate)}/s`;
}

function leftText({ milliseconds }: ProgressState, fraction: number): string[] {
  if (fraction < LEAST_FRACTION || fraction >= 1) return [];
  const left = milliseconds / fraction * (1 - fraction);
  return left > MOST_LEFT_MILLISECONDS ? [] : [`${clockText(left)} left`];
}

function waitingText({ milliseconds, limit }: ProgressState): string {
  const passed = clockText(milliseconds);
  return limit === undefined ? passed : `${passed} of ${clockText(limit)}`;
}
