/**
 * Up and down through the lines typed before: those that start with what stood before the cursor when the
 * walk began. Pure; the line that was typed comes back at its end.
 *
 * @module
 */

/** A walk, and where it is. */
export interface HistoryWalk {
  /** The oldest first. */
  readonly lines: readonly string[];
  /** What the lines start with. */
  readonly start: string;
  /** What was typed. */
  readonly draft: string;
  /** Which line is shown; the count of lines stands for the draft. */
  readonly at: number;
}

/**
 * Begins a walk.
 *
 * @param lines The lines typed before, the oldest first
 * @param draft What is typed
 * @param cursor Where the cursor is in that
 */
export function beginWalk(lines: readonly string[], draft: string, cursor: number): HistoryWalk {
  return { lines, start: draft.slice(0, cursor), draft, at: lines.length };
}

/**
 * Goes to the next line that fits and is not the one that is shown.
 *
 * @param walk The walk
 * @param step -1 to an older line, 1 to a newer one
 * @returns The walk there; undefined if there is none
 */
export function walkOn(walk: HistoryWalk, step: -1 | 1): HistoryWalk | undefined {
  const shown = walkedTo(walk);
  for (let at = walk.at + step; at >= 0 && at <= walk.lines.length; at += step) {
    if (at === walk.lines.length) return { ...walk, at };
    const line = walk.lines[at]!;
    if (line.startsWith(walk.start) && line !== shown) return { ...walk, at };
  }
  return undefined;
}

/**
 * The line that is shown.
 *
 * @param walk The walk
 */
export function walkedTo({ lines, draft, at }: HistoryWalk): string {
  return lines[at] ?? draft;
}
