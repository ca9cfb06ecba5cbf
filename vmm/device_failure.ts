/**
 * What a mistake in a device's code looks like to whoever runs the VM, and perhaps wrote it.
 *
 * @module
 */
import { DocumentError, VmError } from "../ffi/errors.ts";

/**
 * Says which device failed, and where in its code.
 *
 * @param device The device's name
 * @param cause What its code threw
 * @returns The error for the user
 */
export function deviceFailure(device: string, cause: unknown): VmError | DocumentError {
  if (cause instanceof DocumentError) return cause; // it says itself what is wrong with its entry
  const message = cause instanceof Error ? cause.message : String(cause);
  const stack = cause instanceof Error ? cause.stack ?? "" : "";
  const place = /^ *at .*?(file:[^)\s]+)/m.exec(stack)?.[1];
  return new VmError(`Device ${device}: ${message}`, {
    cause,
    ...(place === undefined ? {} : { hint: `look at ${place}` }),
  });
}
