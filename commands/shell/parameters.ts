/**
 * The values that stand behind a `$` (POSIX.1-2017 XCU 2.5 and 2.6.2).
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { compiled, patternSource } from "./pattern.ts";
import type { Session } from "./session.ts";
import type { Operation } from "./tree.ts";

/**
 * The value of a variable, an argument or one of the shell's own parameters.
 *
 * @param name Its name
 * @param session The shell
 * @returns Undefined if it is not set
 */
export function parameter(name: string, session: Session): string | undefined {
  if (/^[0-9]+$/.test(name)) {
    return name === "0" ? session.name : session.words[Number(name) - 1];
  }
  switch (name) {
    case "?":
      return String(session.status);
    case "#":
      return String(session.words.length);
    case "!":
      return session.lastJob;
    case "$":
      return String(Deno.pid);
    case "-":
      return flags(session);
    case "*":
    case "@":
      return session.words.length === 0 ? undefined : joined(session);
    default:
      return session.variables.get(name);
  }
}

/**
 * All arguments as one text.
 *
 * @param session The shell
 * @returns Them, the first character of IFS between them
 */
export function joined(session: Session): string {
  return session.words.join(separator(session));
}

/**
 * What stands between arguments that are one text.
 *
 * @param session The shell
 * @returns The first character of IFS
 */
export function separator({ variables }: Session): string {
  const ifs = variables.get("IFS");
  return ifs === undefined ? " " : ifs.slice(0, 1);
}

function flags({ options, interactive }: Session): string {
  const letters = { e: options.errexit, u: options.nounset, x: options.xtrace, f: options.noglob };
  const on = Object.entries(letters).filter(([, on]) => on).map(([letter]) => letter);
  return on.join("") + (interactive ? "i" : "");
}

/**
 * The error for a parameter that has to have a value.
 *
 * @param name Its name
 * @param message What to say of it
 */
export function unset(name: string, message = "it is not set"): UsageError {
  return new UsageError(`${name}: ${message}`);
}

/**
 * Takes a piece that matches a pattern off a value: `#` and `%` the shortest, from its start and
 * from its end, `##` and `%%` the longest.
 *
 * @param value The value
 * @param operator Which
 * @param pattern The pattern
 * @returns What is left
 */
export function trimmed(value: string, operator: Operation["operator"], pattern: string): string {
  if (operator === "#" || operator === "##") {
    const source = patternSource(pattern, operator === "#" ? ".*?" : ".*");
    const match = compiled(`^(?:${source})`).exec(value);
    return match === null ? value : value.slice(match[0].length);
  }
  const whole = compiled(`^(?:${patternSource(pattern)})$`);
  const starts = Array.from({ length: value.length + 1 }, (_, i) => i);
  const at = (operator === "%" ? starts.reverse() : starts).find((i) => whole.test(value.slice(i)));
  return at === undefined ? value : value.slice(0, at);
}
