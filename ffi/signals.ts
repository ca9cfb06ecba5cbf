/**
 * Signals: SIGPIPE as a filter needs it, and the real-time signal that kicks a thread out of KVM_RUN.
 *
 * @module
 */
import { Errno } from "./errno.ts";
import { HostError } from "./errors.ts";
import { errno, libc } from "./libc.ts";

const SIGPIPE = 13;
const SIGXFSZ = 25;
const SIG_IGN = 1n;
const SIG_BLOCK = 0;
/** `sigset_t` of glibc and musl. */
const SIGSET_BYTES = 128;
/** SIGRTMIN+6: real-time, so nobody's default; SIGUSR1 would open Deno's inspector. */
export const SIG_KICK = 40;

/** Has SIGPIPE end the process, as a filter in a pipeline expects; Deno ignores it. */
export function restoreSigpipe(): void {
  libc.signal(SIGPIPE, null); // SIG_DFL is 0
}

/**
 * Has a write of the calling thread to a pipe or socket that nobody reads be an EPIPE, whatever
 * SIGPIPE does elsewhere: the signal goes to the thread that writes, and waits there for ever.
 */
export function holdSigpipe(): void {
  const set = new Uint8Array(SIGSET_BYTES);
  set[(SIGPIPE - 1) >> 3] = 1 << ((SIGPIPE - 1) & 7);
  const code = libc.pthread_sigmask(SIG_BLOCK, set, null);
  if (code !== 0) throw new HostError("pthread_sigmask", code);
}

let sizeLimitReady = false;

/** Has a file that would grow beyond RLIMIT_FSIZE be an EFBIG, and not the end of the process. */
export function ignoreFileSizeSignal(): void {
  if (sizeLimitReady) return;
  libc.signal(SIGXFSZ, Deno.UnsafePointer.create(SIG_IGN));
  sizeLimitReady = true;
}

let kickReady = false;

/**
 * Gives the kick signal a handler that does nothing, so that it interrupts a blocking ioctl with
 * EINTR and has no other effect. Once a process is enough.
 */
export function installKickHandler(): void {
  if (kickReady) return;
  // Any function that takes an int and touches nothing is a safe handler: abs() is.
  libc.signal(SIG_KICK, libc.abs);
  kickReady = true;
}

/**
 * Interrupts a thread of this process that blocks in an ioctl; one that is gone needs none.
 *
 * @param tid Its thread id, as {@linkcode threadId} gave it there
 * @throws {HostError} If the signal cannot be sent
 */
export function kickThread(tid: number): void {
  const result = libc.tgkill(libc.getpid(), tid, SIG_KICK);
  if (result < 0 && errno() !== Errno.ESRCH) throw new HostError("tgkill", errno());
}

/** The calling thread's id. */
export function threadId(): number {
  return libc.gettid();
}
