/**
 * The end of a machine whose memory does not come, or has not yet. A thread that waits for a page can't be
 * let go on without it: a disk could be written with what is not the guest's. It ends with its process.
 *
 * @module
 */

/** How long threads that don't wait for memory may take to end. */
const END_MILLISECONDS = 2000;

/** What of a machine this ends. */
export interface MortalMachine {
  readonly filled: Promise<void>;
  readonly ended: Promise<unknown>;
  /** Resolves when it is told to end. */
  readonly told: Promise<void>;
  fail(error: unknown): void;
  abandon(): void;
}

/**
 * Ends a machine if its memory is found not to come, and sees to it that it can end before that is there.
 *
 * @param machine The machine
 */
export function endWithoutMemory(machine: MortalMachine): void {
  let filled = false;
  machine.filled.then(() => void (filled = true), (error) => machine.fail(error));
  machine.told.then(() => {
    if (filled) return;
    const timer = setTimeout(() => machine.abandon(), END_MILLISECONDS);
    machine.ended.catch(() => {}).finally(() => clearTimeout(timer));
  });
}
