import "../tests/c_library.ts";
import assert from "node:assert/strict";
import { addressOf } from "./address_of.ts";
import { closeFile } from "./files.ts";
import { check, libc } from "./libc.ts";
import { createMemfd } from "./mapping.ts";
import { receiveDescriptor } from "./received_descriptor.ts";
import { msghdr } from "./stream_socket.ts";
import { socketPair } from "./unix_socket.ts";

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const FD_CLOEXEC = 1;
const F_GETFD = 1;

/** Sends a byte and a descriptor with it. */
function sendDescriptor(socket: number, fd: number): void {
  const byte = new Uint8Array(128);
  const iovec = BigUint64Array.from(
    { length: 16 },
    (_, i) => i === 0 ? BigInt(addressOf(byte)) : 1n,
  );
  const control = new DataView(new ArrayBuffer(128));
  control.setBigUint64(0, 20n, true);
  control.setInt32(8, SOL_SOCKET, true);
  control.setInt32(12, SCM_RIGHTS, true);
  control.setInt32(16, fd, true);
  const message = new msghdr(new DataView(new ArrayBuffer(128)));
  message.msg_iov = BigInt(addressOf(iovec));
  message.msg_iovlen = 1n;
  message.msg_control = BigInt(addressOf(control));
  message.msg_controllen = 24n;
  const header = new Uint8Array(message.view.buffer as ArrayBuffer);
  check(libc.sendmsg(socket, header, 0), "sendmsg");
}

Deno.test("a descriptor comes over a socket, closed on exec; none comes from one that is closed", () => {
  const [theirs, ours] = socketPair();
  const file = createMemfd("hvsh-test", 4096);
  try {
    sendDescriptor(theirs, file);
    const received = receiveDescriptor(ours)!;
    const target = (fd: number) => Deno.readLinkSync(`/proc/self/fd/${fd}`);
    assert.equal(target(received), target(file));
    assert.equal(libc.fcntl(received, F_GETFD, 0), FD_CLOEXEC);
    closeFile(received);
    closeFile(theirs);
    assert.equal(receiveDescriptor(ours), undefined);
  } finally {
    closeFile(ours);
    closeFile(file);
  }
});
