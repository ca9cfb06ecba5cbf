/**
 * Taps: network interfaces whose other end is a descriptor (Documentation/networking/tuntap.rst,
 * linux/if_tun.h).
 *
 * @module
 */
import { HostError } from "./errors.ts";
import { Errno } from "./errno.ts";
import { closeFile, openFile, OpenFlag } from "./files.ts";
import { check, errno, libc } from "./libc.ts";
import { ifreq, ifreqName } from "./network_interface.ts";

const DEVICE = "/dev/net/tun";
const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;
const TUNSETQUEUE = 0x400454d9;

const IFF_TAP = 0x0002;
const IFF_MULTI_QUEUE = 0x0100;
const IFF_ATTACH_QUEUE = 0x0200;
const IFF_DETACH_QUEUE = 0x0400;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const FLAGS_OFFSET = 16;

/** What the reader of a tap takes as it is (`TUN_F_`), so that the kernel need not finish it. */
export const TapOffload = {
  CSUM: 0x01,
  TSO4: 0x02,
  TSO6: 0x04,
  TSO_ECN: 0x08,
  UFO: 0x10,
  USO4: 0x20,
  USO6: 0x40,
} as const;

/** Bytes of the header before each frame: `struct virtio_net_hdr_v1`. */
const VNET_HEADER_BYTES = 12;

/** An open tap. */
export interface Tap {
  /** The interface's name. */
  readonly name: string;
  /** A non-blocking descriptor for each queue; with the last of them a tap made here goes. */
  readonly fds: readonly number[];
}

/**
 * Opens a tap in the calling thread's network namespace, making it if there is none of that name.
 * Each frame has a virtio-net header before it, on reads and on writes.
 *
 * @param name The interface; with `%d` in it, the first free number
 * @param queues How many queues
 * @returns The tap
 * @throws {HostError} With the next step
 */
export function openTap(name: string, queues: number): Tap {
  const fds: number[] = [];
  let actual = name;
  try {
    for (let i = 0; i < queues; i++) {
      const fd = openDevice();
      fds.push(fd);
      const request = ifreq(actual);
      const flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (queues > 1 ? IFF_MULTI_QUEUE : 0);
      request.setUint16(FLAGS_OFFSET, flags, true);
      if (libc.ioctl_pointer(fd, TUNSETIFF, request) < 0) throw refused(actual, errno(), queues);
      actual = ifreqName(request);
      check(
        libc.ioctl_pointer(fd, TUNSETVNETHDRSZ, Int32Array.of(VNET_HEADER_BYTES)),
        "TUNSETVNETHDRSZ",
        { path: actual },
      );
    }
    return { name: actual, fds };
  } catch (error) {
    fds.forEach(closeFile);
    throw error;
  }
}

/**
 * Sets what is left to the reader of a tap, for all its queues.
 *
 * @param fd One of its descriptors
 * @param offloads {@linkcode TapOffload}s, added up
 * @returns Whether the kernel knows them all; if not, nothing has changed
 */
export function setTapOffload(fd: number, offloads: number): boolean {
  return libc.ioctl(fd, TUNSETOFFLOAD, BigInt(offloads)) >= 0;
}

/**
 * Has one queue of a tap take part or not.
 *
 * @param fd The queue's descriptor
 * @param attached Whether frames come and go by it
 * @returns Whether that is so now; false if it was so before, too
 */
export function attachTapQueue(fd: number, attached: boolean): boolean {
  const request = ifreq("");
  request.setUint16(FLAGS_OFFSET, attached ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE, true);
  return libc.ioctl_pointer(fd, TUNSETQUEUE, request) >= 0;
}

function openDevice(): number {
  try {
    return openFile(DEVICE, OpenFlag.RDWR | OpenFlag.NONBLOCK);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    const hint = error.errno === Errno.EACCES || error.errno === Errno.EPERM
      ? "a tap wants access to it; `hvsh net user` needs no privilege"
      : "the kernel's tun module makes it; try: sudo modprobe tun";
    throw new HostError("open", error.errno, { path: DEVICE, hint, cause: error });
  }
}

function refused(name: string, code: number, queues: number): HostError {
  let hint = "a tap's name has 15 bytes at most and belongs to no other kind of interface";
  if (code === Errno.EPERM) {
    hint = `it wants CAP_NET_ADMIN, or a tap of yours; try: sudo ip tuntap add ${name} mode tap ` +
      `user $USER vnet_hdr${queues > 1 ? " multi_queue" : ""}`;
  } else if (code === Errno.EBUSY) {
    hint = "another process uses it";
  } else if (code === Errno.EINVAL) {
    hint += "; a persistent tap has been made with or without multi_queue, as --queues must say";
  }
  return new HostError("TUNSETIFF", code, { path: name, hint });
}
