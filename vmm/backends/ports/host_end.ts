/**
 * What stands at the host's end of a byte port: a unix socket that listens, a file, a FIFO, a
 * terminal, or one of the process's own streams. Opened in the main thread, before the VM is made.
 *
 * @module
 */
import { Errno } from "../../../ffi/errno.ts";
import { HostError } from "../../../ffi/errors.ts";
import { closeFile, openFile, OpenFlag } from "../../../ffi/files.ts";
import { check, libc } from "../../../ffi/libc.ts";
import { UnixListener } from "../../../ffi/unix_listener.ts";

const F_DUPFD_CLOEXEC = 1030;
const SEEK_CUR = 1;
const CREATED_MODE = 0o666; // less the umask, as a shell's redirection has it

/** What is wanted at a port's end. */
export interface HostEndConfig {
  /** `socket` listens for one client at a time; `read` is the guest's input, `write` its output. */
  readonly mode: "socket" | "read" | "write";
  /** A socket's, file's, FIFO's or terminal's path. */
  readonly path?: string | undefined;
  /** One of the process's own streams: 0 to read, 1 or 2 to write. */
  readonly fd?: number | undefined;
}

/** An opened end, as the I/O thread is told of it. */
export interface HostEndPlan {
  /** What it is; a `fifo` to read comes back to life with its next writer. */
  readonly kind: "listener" | "reader" | "fifo" | "writer";
  /** Its descriptor; whoever opened it closes it. */
  readonly fd: number;
  /** Reads and writes may wait, since the descriptor is shared with others that want it so. */
  readonly blocking: boolean;
  /** How messages call it. */
  readonly label: string;
}

/** An opened end and its owner. */
export interface OpenHostEnd extends Disposable {
  readonly plan: HostEndPlan;
}

/**
 * Opens a port's end.
 *
 * @param config What is wanted
 * @returns The end; disposing it closes it and removes its socket's file
 * @throws {HostError} If it cannot be opened
 */
export function openHostEnd({ mode, path, fd }: HostEndConfig): OpenHostEnd {
  if (fd !== undefined) return ownStream(fd, mode === "read");
  if (mode === "socket") {
    const listener = new UnixListener(path!);
    const plan = { kind: "listener", fd: listener.fd, blocking: false, label: path! } as const;
    return { plan, [Symbol.dispose]: () => listener[Symbol.dispose]() };
  }
  const { NONBLOCK, NOCTTY, RDONLY, RDWR, WRONLY, CREAT, TRUNC } = OpenFlag;
  const fifo = isFifo(path!);
  // Opened both ways a FIFO takes output before its reader is there, and is never broken.
  const flags = mode === "read" ? RDONLY : fifo ? RDWR : WRONLY | CREAT | TRUNC;
  const opened = openFile(path!, flags | NONBLOCK | NOCTTY, CREATED_MODE);
  if (mode === "read" && Deno.statSync(path!).isDirectory) {
    closeFile(opened);
    throw new HostError("open", Errno.EISDIR, { path: path! });
  }
  const kind = mode === "write" ? "writer" : fifo ? "fifo" : "reader";
  return owned({ kind, fd: opened, blocking: false, label: path! });
}

/**
 * A stream that was handed to the process is shared with others, and so is O_NONBLOCK: an opening of
 * our own has its own flags. Files keep their one position; sockets can't be opened again.
 */
function ownStream(fd: number, read: boolean): OpenHostEnd {
  const label = ["stdin", "stdout", "stderr"][fd]!;
  const kind = read ? "reader" : "writer";
  if (libc.lseek(fd, 0n, SEEK_CUR) < 0n) {
    try {
      const flags = (read ? OpenFlag.RDONLY : OpenFlag.WRONLY) | OpenFlag.NONBLOCK |
        OpenFlag.NOCTTY;
      return owned({ kind, fd: openFile(`/proc/self/fd/${fd}`, flags), blocking: false, label });
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
    }
  }
  const copy = check(libc.fcntl(fd, F_DUPFD_CLOEXEC, 3), "fcntl", { path: label });
  return owned({ kind, fd: copy, blocking: true, label });
}

function owned(plan: HostEndPlan): OpenHostEnd {
  return { plan, [Symbol.dispose]: () => closeFile(plan.fd) };
}

function isFifo(path: string): boolean {
  try {
    return Deno.statSync(path).isFifo === true;
  } catch {
    return false; // opening it says what is wrong
  }
}
