/**
 * Errors that nobody waits for, of which Deno would end by itself.
 *
 * @module
 */

/**
 * Handles them in place of ending of them.
 *
 * @param handle Gets the error
 * @returns A function that ends it
 */
export function onUnhandled(handle: (error: unknown) => void): () => void {
  const thrown = (event: ErrorEvent) => {
    event.preventDefault();
    handle(event.error);
  };
  const rejected = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    handle(event.reason);
  };
  addEventListener("error", thrown);
  addEventListener("unhandledrejection", rejected);
  return () => {
    removeEventListener("error", thrown);
    removeEventListener("unhandledrejection", rejected);
  };
}
