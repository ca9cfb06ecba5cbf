/**
 * The last lines of a console, kept for when something went wrong.
 *
 * @module
 */
const MAX_BYTES = 8192;

/** Keeps the end of what passes. */
export class LastLines {
  #kept: Uint8Array = new Uint8Array();

  /**
   * Takes the next bytes.
   *
   * @param bytes What the guest wrote
   */
  push(bytes: Uint8Array): void {
    const all = new Uint8Array(this.#kept.length + bytes.length);
    all.set(this.#kept);
    all.set(bytes, this.#kept.length);
    this.#kept = all.slice(-MAX_BYTES);
  }

  /**
   * The last lines.
   *
   * @param count How many at most
   * @returns Lines without their ends, and without empty ones
   */
  lines(count: number): string[] {
    const text = new TextDecoder().decode(this.#kept);
    return text.split(/\r?\n|\r/).filter((line) => line.trim() !== "").slice(-count);
  }
}
