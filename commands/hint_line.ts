/**
 * The next step that an error knows, as a line below what it says.
 *
 * @module
 */

/**
 * Writes the line.
 *
 * @param hint The error's hint
 * @returns The line without its end; it says `try:` once
 */
export function hintLine(hint: string): string {
  return hint.includes("try: ") ? `  ${hint}` : `  try: ${hint}`;
}
