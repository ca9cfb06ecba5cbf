/**
 * The process's own stdin and stdout, as a filter in a pipeline uses them.
 *
 * @module
 */
const CHUNK = 65536;

/**
 * What stdin gives, in chunks that stay the receiver's own.
 *
 * @returns Chunks up to 64 KiB until the end
 */
export async function* stdinChunks(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (;;) {
    const chunk = new Uint8Array(CHUNK);
    const count = await Deno.stdin.read(chunk);
    if (count === null) return;
    yield chunk.subarray(0, count);
  }
}

/**
 * Writes all of some bytes to stdout.
 *
 * @param bytes The bytes
 * @throws {Deno.errors.BrokenPipe} If its reader is gone, since Deno has SIGPIPE ignored
 */
export async function writeStdout(bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    try {
      done += Deno.stdout.writeSync(bytes.subarray(done));
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      await stdoutTakesMore();
    }
  }
}

/** Another process that shares this pipe may have set O_NONBLOCK on it; then a full pipe is an error. */
async function stdoutTakesMore(): Promise<void> {
  const { Epoll, EpollEvent } = await import("../ffi/epoll.ts");
  using epoll = new Epoll(1);
  epoll.add(1, EpollEvent.OUT);
  epoll.wait(-1, () => {});
}
