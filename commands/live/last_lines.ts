/**
 * The last lines of a console, kept for when something went wrong.
 *
 * @module
 */
const MAX_BYTES = 8192;
const MAX_WIDTH = 160;
/** Escape sequences (ECMA-48 §5.4) and what else moves a cursor: a guest's words, not its commands. */
// deno-lint-ignore no-control-regex -- control characters are what it is about
const CONTROLS = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** Keeps the end of what passes. */
export class LastLines {
  #kept: Uint8Array = new Uint8Array();

  /**
   * Takes the next bytes.
   *
   * @param bytes What the guest wrote
   */
  push(bytes: Uint8Array): void {
    const tail = bytes.subarray(-MAX_BYTES);
    const kept = this.#kept.subarray(Math.max(0, this.#kept.length + tail.length - MAX_BYTES));
    const all = new Uint8Array(kept.length + tail.length);
    all.set(kept);
    all.set(tail, kept.length);
    this.#kept = all;
  }

  /**
   * The last lines, fit for a terminal.
   *
   * @param count How many at most
   * @returns Lines without their ends, blanks before these, control characters and empty ones; the ends of long ones
   */
  lines(count: number): string[] {
    return new TextDecoder().decode(this.#kept)
      .split(/\r?\n|\r/)
      .map((line) => line.replaceAll(CONTROLS, "").trimEnd().slice(-MAX_WIDTH))
      .filter((line) => line !== "")
      .slice(-count);
  }
}
