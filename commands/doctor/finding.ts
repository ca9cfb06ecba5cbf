/**
 * What `doctor` finds.
 *
 * @module
 */

/** One thing that was looked at. */
export interface Finding {
  /** `missing`: what needs it cannot work; `warn`: something works less well, or not at all. */
  readonly state: "ok" | "warn" | "missing";
  /** What was looked at. */
  readonly check: string;
  /** How it is. */
  readonly detail: string;
  /** The command, or what else mends it. */
  readonly fix?: string;
}

/**
 * A finding with two outcomes.
 *
 * @param good Whether all is well
 * @param check What was looked at
 * @param detail How it is
 * @param otherwise What it means if it is not well, and what mends it
 */
export function finding(
  good: boolean,
  check: string,
  detail: string,
  otherwise: { state: "warn" | "missing"; fix: string },
): Finding {
  return good ? { state: "ok", check, detail } : { check, detail, ...otherwise };
}

/**
 * Reads a small file of /proc or /sys.
 *
 * @param path Its path
 * @returns Its text without the last line end; undefined if it cannot be read
 */
export function readSetting(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path).trimEnd();
  } catch {
    return undefined;
  }
}
