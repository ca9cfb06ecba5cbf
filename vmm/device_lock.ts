/**
 * A device's lock: one word of the arena. Its holders are device handlers, which never block, so a
 * waiter spins a little before it sleeps.
 *
 * @module
 */
const FREE = 0;
const HELD = 1;
const CONTENDED = 2;
const SPINS = 200;

/**
 * Takes a lock, blocking the thread if need be.
 *
 * @param words The arena as words
 * @param lock Index of the lock
 */
export function lockDevice(words: Int32Array, lock: number): void {
  if (Atomics.compareExchange(words, lock, FREE, HELD) === FREE) return;
  for (let i = 0; i < SPINS; i++) {
    if (Atomics.compareExchange(words, lock, FREE, HELD) === FREE) return;
  }
  while (Atomics.exchange(words, lock, CONTENDED) !== FREE) {
    Atomics.wait(words, lock, CONTENDED);
  }
}

/**
 * Gives a lock back.
 *
 * @param words The arena as words
 * @param lock Index of the lock
 */
export function unlockDevice(words: Int32Array, lock: number): void {
  if (Atomics.exchange(words, lock, FREE) === CONTENDED) Atomics.notify(words, lock, 1);
}
