/**
 * The two forms of a KVM ioctl, with the request's name in the error.
 *
 * @module
 */
import { check, libc } from "../libc.ts";
import { Ioctl } from "./ioctl.ts";

/** A request's name, without the `KVM_`. */
export type Request = keyof typeof Ioctl;

/** An ioctl whose argument is a number. */
export function call(fd: number, request: Request, argument: number | bigint = 0): number {
  return check(libc.ioctl(fd, Ioctl[request], BigInt(argument)), `KVM_${request}`);
}

/** An ioctl whose argument is a struct. */
export function callWith(fd: number, request: Request, argument: Uint8Array<ArrayBuffer>): number {
  return check(libc.ioctl_pointer(fd, Ioctl[request], argument), `KVM_${request}`);
}

/** An ioctl that a host or a guest may have no use for: whether KVM did it. */
export function attempt(fd: number, request: Request, argument: number | bigint = 0): boolean {
  return libc.ioctl(fd, Ioctl[request], BigInt(argument)) >= 0;
}
