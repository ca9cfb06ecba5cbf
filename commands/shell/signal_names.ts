/**
 * The names of signals (signal(7), x86-64 and arm64).
 *
 * @module
 */

const NAMES = (
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN " +
  "TTOU URG XCPU XFSZ VTALRM PROF WINCH POLL PWR SYS"
).split(" ");
/** Those that end a program unless it handles them. */
const ENDING: ReadonlySet<string> = new Set(
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM".split(" "),
);

/** Their names, in the order of their numbers from 1. */
export const signalNames: readonly string[] = NAMES;

/**
 * The number of a signal.
 *
 * @param word `TERM`, `SIGTERM` or `15`
 * @returns It; undefined if there is none
 */
export function signalNumber(word: string): number | undefined {
  if (/^[0-9]{1,2}$/.test(word)) return Number(word) <= 64 ? Number(word) : undefined;
  const at = NAMES.indexOf(word.toUpperCase().replace(/^SIG/, ""));
  return at < 0 ? undefined : at + 1;
}

/**
 * @param number A signal's number
 * @returns Whether it ends a program that does nothing about it
 */
export function endsPrograms(number: number): boolean {
  return ENDING.has(NAMES[number - 1] ?? "");
}
