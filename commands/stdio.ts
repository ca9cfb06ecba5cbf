/**
 * The process's own stdin and stdout, as a filter in a pipeline uses them.
 *
 * @module
 */
import { HostError } from "../ffi/errors.ts";
import { hostErrno } from "./host_errno.ts";

/** A pipe gives 64 KiB at once, a file as much as one asks for. */
const CHUNK = 2 ** 20;

/**
 * What stdin gives, in chunks that stay the receiver's own.
 *
 * @returns Chunks up to 1 MiB until the end
 * @throws {HostError} If it cannot be read
 */
export async function* stdinChunks(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(CHUNK);
  for (;;) {
    const count = await Deno.stdin.read(buffer).catch((error) => {
      throw hostError(error, "read", "stdin");
    });
    if (count === null) return;
    yield buffer.slice(0, count);
  }
}

/**
 * Writes all of some bytes to stdout.
 *
 * @param bytes The bytes
 * @throws {Deno.errors.BrokenPipe} If its reader is gone, since Deno has SIGPIPE ignored
 * @throws {HostError} If they cannot be written
 */
export async function writeStdout(bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    try {
      done += Deno.stdout.writeSync(bytes.subarray(done));
    } catch (error) {
      if (error instanceof Deno.errors.WouldBlock) await stdoutTakesMore();
      else if (error instanceof Deno.errors.BrokenPipe) throw error;
      else throw hostError(error, "write", "stdout");
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

function hostError(error: unknown, syscall: string, path: string): unknown {
  const errno = hostErrno(error);
  return errno === undefined ? error : new HostError(syscall, errno, { path, cause: error });
}

/**
 * Writes a console's output to stdout without holding the event loop up.
 *
 * @param bytes What the guest wrote
 * @throws {Deno.errors.BrokenPipe} If its reader is gone
 * @throws {HostError} If they cannot be written
 */
export async function writeConsole(bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += await Deno.stdout.write(bytes.subarray(done)).catch((error) => {
      throw error instanceof Deno.errors.BrokenPipe ? error : hostError(error, "write", "stdout");
    });
  }
}
