/**
 * The error number behind what Deno throws when the host refuses a file operation.
 *
 * @module
 */

/**
 * Reads it from the message, the one place where Deno keeps it as a number.
 *
 * @param error What was thrown
 * @returns A positive error number, or undefined if the host's kernel had no part in it
 */
export function hostErrno(error: unknown): number | undefined {
  const number = error instanceof Error && /\(os error (\d+)\)/.exec(error.message)?.[1];
  return number ? Number(number) : undefined;
}
