/**
 * Readers of a guest's output that do not read.
 *
 * @module
 */

/** How long one holds up the end of a machine that was told to end. */
const SLOW_READER_MILLISECONDS = 500;

/**
 * Waits for work that a reader may hold up.
 *
 * @param work What has to be done
 * @param told Resolves when the machine was told to end: then it is not waited for much longer
 * @returns Whether it is done
 */
export async function doneInTime(work: Promise<unknown>, told: Promise<void>): Promise<boolean> {
  const done = work.then(() => true);
  if (await Promise.race([done, told.then(() => false)])) return true;
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), SLOW_READER_MILLISECONDS);
  try {
    return await Promise.race([done, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
