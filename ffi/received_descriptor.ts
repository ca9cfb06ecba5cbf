/**
 * A descriptor that comes over a unix socket (SCM_RIGHTS of unix(7)).
 *
 * @module
 */
import { addressOf } from "./address_of.ts";
import { Errno } from "./errno.ts";
import { HostError } from "./errors.ts";
import { errno, libc } from "./libc.ts";
import { msghdr } from "./stream_socket.ts";
import { i32, struct, u32, u64 } from "./struct.ts";

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x4000_0000;

/** `struct cmsghdr` with one descriptor behind it. */
const cmsg_descriptor = struct("cmsg_descriptor", {
  cmsg_len: u64,
  cmsg_level: u32,
  cmsg_type: u32,
  fd: i32,
  padding: u32,
});

/**
 * Takes the descriptor that the next message brings; blocks until there is one.
 *
 * @param socket A blocking unix socket
 * @returns The descriptor, closed on exec; undefined if the other side has closed without one
 * @throws {HostError} If it can't be received
 */
export function receiveDescriptor(socket: number): number | undefined {
  // More than 64 bytes each, since V8 moves smaller ones.
  const byte = new Uint8Array(128);
  const iovec = new BigUint64Array(16);
  const control = new DataView(new ArrayBuffer(128));
  iovec[0] = BigInt(addressOf(byte));
  iovec[1] = 1n;
  const message = new msghdr(new DataView(new ArrayBuffer(128)));
  message.msg_iov = BigInt(addressOf(iovec));
  message.msg_iovlen = 1n;
  message.msg_control = BigInt(addressOf(control));
  message.msg_controllen = BigInt(cmsg_descriptor.size);
  const header = new Uint8Array(message.view.buffer as ArrayBuffer);
  for (;;) {
    const count = libc.recvmsg(socket, header, MSG_CMSG_CLOEXEC);
    if (count >= 0) break;
    const code = errno();
    if (code !== Errno.EINTR) throw new HostError("recvmsg", code);
  }
  const came = new cmsg_descriptor(control);
  const whole = message.msg_controllen >= BigInt(cmsg_descriptor.offsets.fd + i32.size);
  const rights = came.cmsg_level === SOL_SOCKET && came.cmsg_type === SCM_RIGHTS;
  return whole && rights ? came.fd : undefined;
}
