import assert from "node:assert/strict";
import "../tests/c_library.ts";
import { kickThread, threadId } from "./signals.ts";

Deno.test("a kick interrupts a thread that blocks in a call, again and again, and harms nothing", async () => {
  const words = new Int32Array(new SharedArrayBuffer(12));
  const worker = new Worker(new URL("../tests/blocked_thread.ts", import.meta.url), {
    type: "module",
  });
  try {
    const ended = new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
    });
    let end: unknown;
    let failure: unknown;
    ended.then((said) => end = said, (error) => failure = error);
    /** Lets the event loop turn, for a millisecond or so; a Worker that fails says why. */
    const turn = async () => {
      await new Promise<void>((resolve) => setTimeout(resolve, 1));
      if (failure !== undefined) throw failure;
    };
    worker.postMessage(words);
    while (Atomics.load(words, 0) === 0) await turn();
    const tid = words[0]!;
    assert.notEqual(tid, threadId());
    // A kick that comes just before the wait is lost; one that comes later finds it blocked. The event
    // loop's own timer asks again: nothing else is sure to wake it.
    const kickUntilCounted = async (seen: number) => {
      while (Atomics.load(words, 2) === seen) {
        kickThread(tid);
        await turn();
      }
    };
    for (let kicks = 0; kicks < 100; kicks++) await kickUntilCounted(Atomics.load(words, 2));
    Atomics.store(words, 1, 1);
    while (end === undefined) {
      kickThread(tid);
      await turn();
    }
    assert.equal(end, "ended");
  } finally {
    worker.terminate();
  }
});

Deno.test("kicking a thread that is gone does nothing, and an impossible one is an error", () => {
  kickThread(0x3fff_ffff);
  assert.throws(() => kickThread(-1), /tgkill: invalid argument \(EINVAL\)/);
});

Deno.test("a thread that holds SIGPIPE gets EPIPE, one that does not ends the process", async () => {
  // In a process of its own: a thread holds it for good.
  const program = (hold: string) => `
    import { holdSigpipe, restoreSigpipe } from "${new URL("signals.ts", import.meta.url)}";
    import { errno, libc } from "${new URL("libc.ts", import.meta.url)}";
    const AF_UNIX = 1, SOCK_STREAM = 1;
    restoreSigpipe();
    ${hold}
    const pair = new Int32Array(2);
    libc.socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    libc.close(pair[1]);
    console.log(Number(libc.write(pair[0], new Uint8Array(1), 1n)), errno());`;
  const run = async (hold: string) => {
    const { signal, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--quiet", program(hold)],
    }).output();
    return { signal, said: new TextDecoder().decode(stdout) };
  };
  assert.deepEqual(await run("holdSigpipe();"), { signal: null, said: "-1 32\n" });
  assert.deepEqual(await run(""), { signal: "SIGPIPE", said: "" });
});
