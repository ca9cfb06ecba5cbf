/// <reference lib="deno.worker" />
/**
 * A Worker that takes a device's lock again and again, and under it adds to a plain number in two
 * steps, which only a lock keeps from losing counts.
 *
 * @module
 */
import { lockDevice, unlockDevice } from "../vmm/device_lock.ts";

/** What it is told. */
export interface LockingOrder {
  /** Word 0 is the lock, word 1 the count, word 2 how many threads are ready. */
  readonly words: Int32Array;
  /** How often to count. */
  readonly rounds: number;
  /** How many threads there are; they begin together. */
  readonly threads: number;
}

self.onmessage = ({ data }: MessageEvent<LockingOrder>) => {
  const { words, rounds, threads } = data;
  const ready = Atomics.add(words, 2, 1) + 1;
  if (ready === threads) Atomics.notify(words, 2);
  for (let seen = ready; seen < threads; seen = Atomics.load(words, 2)) {
    Atomics.wait(words, 2, seen);
  }
  for (let i = 0; i < rounds; i++) {
    lockDevice(words, 0);
    const count = words[1]!;
    words[1] = count + 1;
    unlockDevice(words, 0);
  }
  self.postMessage("done");
};
