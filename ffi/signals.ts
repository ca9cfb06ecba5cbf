/**
 * Signals: SIGPIPE as a filter needs it, and the real-time signal that kicks a thread out of KVM_RUN.
 *
 * @module
 */
import { check, libc } from "./libc.ts";

const SIGPIPE = 13;
/** SIGRTMIN+6: real-time, so nobody's default; SIGUSR1 would open Deno's inspector. */
export const SIG_KICK = 40;

/** Has SIGPIPE end the process, as a filter in a pipeline expects; Deno ignores it. */
export function restoreSigpipe(): void {
  libc.signal(SIGPIPE, null); // SIG_DFL is 0
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
 * Interrupts a thread of this process that blocks in an ioctl.
 *
 * @param tid Its thread id, as {@linkcode threadId} gave it there
 * @throws {HostError} If the thread is gone
 */
export function kickThread(tid: number): void {
  check(libc.tgkill(libc.getpid(), tid, SIG_KICK), "tgkill");
}

/** The calling thread's id. */
export function threadId(): number {
  return libc.gettid();
}
