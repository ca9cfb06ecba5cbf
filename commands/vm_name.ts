/**
 * Names of VMs and devices.
 *
 * @module
 */
import { UsageError } from "../ffi/errors.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Checks a name. It becomes the name of a folder, so it has neither a slash nor a dot in front.
 *
 * @param name What the words say
 * @returns The same
 * @throws {UsageError} If a document cannot have it
 */
export function vmName(name: string): string {
  if (NAME.test(name)) return name;
  throw new UsageError(
    `${
      JSON.stringify(name)
    } is not a name: up to 64 letters, digits and . _ - are, starting with ` +
      "a letter or digit",
  );
}
