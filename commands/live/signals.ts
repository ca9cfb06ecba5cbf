/**
 * The signals that ask a process to end.
 *
 * @module
 */

/** And the exit statuses that tell of them. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * Handles them in place of dying of them.
 *
 * @param handle Gets the exit status
 * @returns A function that ends it
 */
export function onSignals(handle: (status: number) => void): () => void {
  const listeners = Object.entries(SIGNALS).map(([signal, status]) => {
    const listener = () => handle(status);
    Deno.addSignalListener(signal as Deno.Signal, listener);
    return () => Deno.removeSignalListener(signal as Deno.Signal, listener);
  });
  return () => listeners.forEach((remove) => remove());
}
