/**
 * What the runtime throws for a refused file operation, as the family's HostError.
 *
 * @module
 */
import { HostError } from "../../ffi/errors.ts";
import { hostErrno } from "../host_errno.ts";

/**
 * Names the call and the path of a failure of the host.
 *
 * @param error What was thrown
 * @param syscall The call that failed
 * @param path The file it was about
 * @returns A HostError, or the error itself if it carries no errno
 */
export function hostFailure(error: unknown, syscall: string, path: string): unknown {
  const errno = hostErrno(error);
  return errno === undefined ? error : new HostError(syscall, errno, { path, cause: error });
}
