/**
 * Waiting on behalf of a client, which may go.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";

/**
 * Waits for something as long as a client is there: a wait that outlived it would keep its connection's
 * descriptor, and an owner has only so many.
 *
 * @param work What is waited for
 * @param gone Aborts when the client is gone
 * @returns What it gave
 * @throws {VmError} If the client went before
 */
export async function whileThere<T>(work: Promise<T>, gone: AbortSignal): Promise<T> {
  const left = Promise.withResolvers<never>();
  const leave = () => left.reject(new VmError("The client is gone"));
  if (gone.aborted) leave();
  gone.addEventListener("abort", leave);
  try {
    return await Promise.race([work, left.promise]);
  } finally {
    gone.removeEventListener("abort", leave);
  }
}
