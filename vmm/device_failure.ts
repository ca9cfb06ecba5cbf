/**
 * What a mistake in a device's code looks like to whoever runs the VM, and perhaps wrote it.
 *
 * @module
 */
import { DocumentError, HostError, VmError } from "../ffi/errors.ts";

/** What was said already: an access to a PCI function passes through its host bridge as well. */
const said = new WeakSet<VmError>();

/**
 * Says which device failed, and where in its code.
 *
 * @param device The device's name
 * @param cause What its code threw
 * @returns The error for the user
 */
export function deviceFailure(device: string, cause: unknown): VmError | DocumentError {
  if (cause instanceof DocumentError) return cause; // it says itself what is wrong with its entry
  if (cause instanceof VmError && (said.has(cause) || cause.message.startsWith(`${device}: `))) {
    return cause;
  }
  const message = cause instanceof Error ? cause.message : String(cause);
  const stack = cause instanceof Error ? cause.stack ?? "" : "";
  const place = /^ *at .*?(file:[^)\s]+)/m.exec(stack)?.[1];
  // What the host or the machine refuses is no mistake in the device's code.
  const refused = cause instanceof HostError || cause instanceof VmError;
  const hint = refused ? cause.hint : place && `look at ${place}`;
  const failure = new VmError(`Device ${device}: ${message}`, {
    cause,
    ...(hint === undefined ? {} : { hint }),
  });
  said.add(failure);
  return failure;
}
