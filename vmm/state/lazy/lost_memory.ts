/**
 * The end of a machine whose memory does not come. A thread that waits for a page can't be let go on without
 * it: a disk could be written with what is not the guest's. It ends with its process.
 *
 * @module
 */

/** How long threads that don't wait for memory may take to end. */
const END_MILLISECONDS = 2000;

/** What of a machine this ends. */
export interface MortalMachine {
  readonly filled: Promise<void>;
  readonly ended: Promise<unknown>;
  fail(error: unknown): void;
  abandon(error: unknown): void;
}

/**
 * Ends a machine if its memory is found not to come.
 *
 * @param machine The machine
 */
export function endWithoutMemory(machine: MortalMachine): void {
  machine.filled.catch((error) => {
    machine.fail(error);
    const timer = setTimeout(() => machine.abandon(error), END_MILLISECONDS);
    machine.ended.catch(() => {}).finally(() => clearTimeout(timer));
  });
}
