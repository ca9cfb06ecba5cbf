/// <reference lib="deno.worker" />
/**
 * A Worker that is a guest's driver with event indices, on a processor of its own: it lends buffers
 * in bursts, kicks only when the device wants it, and sleeps when it has nothing left to lend. A
 * notification lost either way leaves both asleep.
 *
 * @module
 */
import { viewMemory } from "../ffi/mapping.ts";

/** What it is told. */
export interface DriverOrder {
  /** Where guest memory is in this process. */
  readonly address: bigint;
  /** Bytes of it. */
  readonly length: number;
  /** Guest-physical addresses, where memory starts at 0. The descriptors are filled in. */
  readonly avail: number;
  readonly used: number;
  /** Descriptors. */
  readonly size: number;
  /** How many buffers to lend, below 2^31. */
  readonly total: number;
  /** Word 0 counts kicks, word 1 interrupts. */
  readonly words: Int32Array;
}

/** How long to sleep at most, in milliseconds: far longer than anything takes. */
const DEADLINE = 60_000;
/** How often to look before going to sleep. */
const SPINS = 2000;
/** How often to look before lending the next. */
const PAUSES = 100;

self.onmessage = ({ data }: MessageEvent<DriverOrder>) => {
  const { address, length, avail, used, size, total, words } = data;
  const memory = viewMemory(address, length);
  try {
    drive(
      new Uint16Array(memory, avail, 3 + size),
      new Uint16Array(memory, used, 3 + 4 * size),
      size,
      total,
      words,
    );
    self.postMessage("done");
  } catch (error) {
    self.postMessage(String(error));
  } finally {
    memory.transfer(0);
  }
};

function drive(
  avail: Uint16Array,
  used: Uint16Array,
  size: number,
  total: number,
  words: Int32Array,
): void {
  let lent = 0;
  let back = 0;
  for (let burst = 1; back < total; burst = burst % size + 1) {
    const before = lent;
    for (let i = 0; i < burst && lent < total && lent - back < size; i++) {
      avail[2 + lent % size] = lent % size;
      lent++;
    }
    if (lent > before) {
      Atomics.store(avail, 1, lent & 0xffff);
      const event = Atomics.load(used, 2 + 4 * size);
      if (((lent - event - 1) & 0xffff) < lent - before) ring(words, 0);
    }
    const interrupts = Atomics.load(words, 1);
    // Asks for an interrupt at the next one, then looks whether it is there already (§2.7.7.1).
    Atomics.store(avail, 2 + size, back & 0xffff);
    let came = (Atomics.load(used, 1) - back) & 0xffff;
    // Often the answer is a moment away. Who then lends at once, after a pause of some length, does so
    // just when the device is about to find the queue empty.
    for (let look = 0; came === 0 && look < SPINS; look++) {
      came = (Atomics.load(used, 1) - back) & 0xffff;
    }
    back += came;
    for (let pause = (lent * 7919) % PAUSES; pause > 0; pause--) Atomics.load(used, 1);
    if (came > 0 || (lent < total && lent - back < size)) continue;
    if (Atomics.wait(words, 1, interrupts, DEADLINE) === "timed-out") {
      throw new Error(`no interrupt came: ${back} of ${lent} are back`);
    }
  }
}

function ring(words: Int32Array, word: number): void {
  Atomics.add(words, word, 1);
  Atomics.notify(words, word);
}
