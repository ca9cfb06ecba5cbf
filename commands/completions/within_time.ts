/**
 * A question that is given up when it takes too long.
 *
 * @module
 */

/**
 * Waits for an answer, but no longer than a person at a key would.
 *
 * @param milliseconds How long
 * @param ask Asks; its signal aborts when the time is over
 * @returns The answer; undefined if there is none by then
 */
export async function withinTime<T>(
  milliseconds: number,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const over = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      over.abort();
      resolve(undefined);
    }, milliseconds);
  });
  const answer = ask(over.signal);
  answer.catch(() => {}); // it may fail after we have gone
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
