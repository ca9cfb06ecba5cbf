/// <reference lib="deno.worker" />
/**
 * A Worker that blocks in epoll_wait, which a signal interrupts as it does KVM_RUN. It is given
 * three words: it sets the first to its thread's id, ends when the second is set, and counts in the
 * third how often its wait ended before its time with nothing to tell.
 *
 * @module
 */
import { Epoll } from "../ffi/epoll.ts";
import { installKickHandler, threadId } from "../ffi/signals.ts";

const LONG = 60_000;

self.onmessage = ({ data: words }: MessageEvent<Int32Array>) => {
  installKickHandler();
  using epoll = new Epoll();
  Atomics.store(words, 0, threadId());
  Atomics.notify(words, 0);
  while (Atomics.load(words, 1) === 0) {
    const start = performance.now();
    epoll.wait(LONG, () => {});
    if (performance.now() - start < LONG / 2) Atomics.add(words, 2, 1);
    Atomics.notify(words, 2);
  }
  self.postMessage("ended");
};
