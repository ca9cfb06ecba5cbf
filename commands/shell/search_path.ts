/**
 * Where the shell looks for programs.
 *
 * @module
 */
import type { Session } from "./session.ts";

/** Where they are if nothing says so (POSIX.1-2017 XBD 8.3 leaves it to the system). */
const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin";

/**
 * Where programs are.
 *
 * @param session The shell
 * @returns The value of PATH
 */
export function searchPath(session: Session): string {
  return session.variables.get("PATH") ?? DEFAULT_PATH;
}
