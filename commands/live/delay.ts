/**
 * Waiting between two looks.
 *
 * @module
 */

/**
 * Waits.
 *
 * @param milliseconds How long
 * @param signal Ends it
 * @returns False if the signal did
 */
export async function delay(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false;
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, milliseconds);
  const end = () => over.resolve();
  signal.addEventListener("abort", end);
  await over.promise;
  signal.removeEventListener("abort", end);
  clearTimeout(timer);
  return !signal.aborted;
}
