/**
 * The one line of a terminal that is drawn again and again, on stderr. There is one for all stages of this
 * process.
 *
 * @module
 */

/** To the line's start, and clear from there (ECMA-48 §8.3.41). */
const CLEAR = "\r\x1b[K";

const encoder = new TextEncoder();
/** What is there now. */
let drawn = "";

/**
 * Draws the line over what it was.
 *
 * @param text Shorter than the terminal is wide, without control characters
 */
export function drawLine(text: string): void {
  if (text === drawn) return;
  put(CLEAR + text);
  drawn = text;
}

/** Takes the line away, if there is one: something else is to be said. */
export function clearLine(): void {
  if (drawn === "") return;
  put(CLEAR);
  drawn = "";
}

/** A terminal that is gone or stands still keeps nobody from working. */
function put(text: string): void {
  try {
    Deno.stderr.writeSync(encoder.encode(text));
  } catch {
    // Nobody sees it.
  }
}
