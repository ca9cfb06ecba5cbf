/**
 * What the process's own terminal is like: its size, and whether it takes more than plain text.
 *
 * @module
 */
import type { TerminalLook } from "./verb.ts";

/** A terminal that says no size has the usual one. */
const COLUMNS = 80;
const ROWS = 24;

/** The terminal as it is now; people change its size. */
export function terminalLook(): TerminalLook {
  return { ...size(), color: takesColor() };
}

/** Whether a person sees stderr at a terminal on which a line can be drawn again and again. */
export function showsProgress(): boolean {
  return Deno.stderr.isTerminal() && movesCursor();
}

/** Whether the terminal can move its cursor: where TERM is `dumb` it prints line after line (terminfo(5)). */
export function movesCursor(): boolean {
  return Deno.env.get("TERM") !== "dumb";
}

function size(): { columns: number; rows: number } {
  try {
    const { columns, rows } = Deno.consoleSize();
    if (columns > 0 && rows > 0) return { columns, rows };
  } catch {
    // None of stdin, stdout and stderr is one.
  }
  return { columns: COLUMNS, rows: ROWS };
}

/** NO_COLOR counts if it is there and not empty (no-color.org). */
function takesColor(): boolean {
  return movesCursor() && (Deno.env.get("NO_COLOR") ?? "") === "";
}
