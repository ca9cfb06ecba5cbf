/**
 * A device's eventfds: KVM, or any thread of this process, tells the device's I/O thread with them
 * that there is work.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import { HostError } from "../ffi/errors.ts";
import type { Vm } from "../ffi/kvm/vm.ts";
import { errno, libc } from "../ffi/libc.ts";
import type { IoEvent, IoRange, Width } from "./device.ts";

const ONE = new BigUint64Array([1n]);

/**
 * Adds 1 to an eventfd.
 *
 * @param fd The eventfd, non-blocking
 * @throws {HostError} If it is none
 */
export function signalEventFd(fd: number): void {
  if (libc.write(fd, ONE, 8n) === 8n) return;
  const code = errno();
  // Full: nobody has read it for 2^64 - 1 times, and it is readable for sure.
  if (code !== Errno.EAGAIN) throw new HostError("write", code, { path: "eventfd" });
}

/** An eventfd that KVM knows. */
export class KvmIoEvent implements IoEvent {
  readonly fd: number;
  readonly #vm: Vm;

  /**
   * @param vm Whose guest signals it
   * @param fd The eventfd
   */
  constructor(vm: Vm, fd: number) {
    this.#vm = vm;
    this.fd = fd;
  }

  signal(): void {
    signalEventFd(this.fd);
  }

  attach(space: IoRange["space"], address: number, width: Width, value?: number): void {
    this.#set(true, space, address, width, value);
  }

  detach(space: IoRange["space"], address: number, width: Width, value?: number): void {
    this.#set(false, space, address, width, value);
  }

  #set(
    attached: boolean,
    space: IoRange["space"],
    address: number,
    length: Width,
    value: number | undefined,
  ): void {
    const match = value === undefined ? {} : { match: value };
    this.#vm.setIoEventFd(
      { fd: this.fd, address, length, port: space === "pio", ...match },
      attached,
    );
  }
}
