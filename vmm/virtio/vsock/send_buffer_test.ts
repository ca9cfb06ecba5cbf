import "../../../tests/c_library.ts";
import { deepEqual, equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { Errno } from "../../../ffi/errno.ts";
import { closeFile } from "../../../ffi/files.ts";
import { receiveBytes, SocketVectors } from "../../../ffi/stream_socket.ts";
import { socketPair } from "../../../ffi/unix_socket.ts";
import { GuardedMemory } from "../../../tests/guarded_memory.ts";
import { BufferChain } from "../chain.ts";
import { DmaMap } from "../dma.ts";
import { SendBuffer } from "./send_buffer.ts";

const CAPACITY = 1000;

Deno.test("bytes go out in the order in which they came in, wherever the ring wraps", () => {
  using memory = new GuardedMemory([{ base: 0, size: 4096 }]);
  const source = memory.guest.bytes(0, 4096);
  for (let i = 0; i < source.length; i++) source[i] = i * 7 + (i >> 8);
  const steps = fc.array(fc.record({ at: fc.nat(3000), length: fc.nat(CAPACITY) }), {
    maxLength: 30,
  });
  const vectors = new SocketVectors();
  fc.assert(fc.property(steps, (list) => {
    const [ours, theirs] = socketPair();
    const buffer = new SendBuffer(CAPACITY);
    const chain = new BufferChain(new DmaMap(memory.guest));
    chain.add(0, 100, false);
    chain.add(100, 3996, false);
    const sent: number[] = [];
    const got: number[] = [];
    const target = new Uint8Array(4096);
    for (const { at, length } of list) {
      const room = CAPACITY - buffer.length;
      if (length > room) throws(() => buffer.append(chain, at, length), RangeError);
      const taken = Math.min(length, room);
      buffer.append(chain, at, taken);
      sent.push(...source.subarray(at, at + taken));
      if (length % 3 === 0) continue;
      equal(buffer.flush(ours, vectors), buffer.length + sent.length - got.length);
      equal(buffer.length, 0);
      const count = receiveBytes(theirs, target);
      if (count > 0) got.push(...target.subarray(0, count));
    }
    buffer.flush(ours, vectors);
    for (let count; (count = receiveBytes(theirs, target)) > 0;) {
      got.push(...target.subarray(0, count));
    }
    deepEqual(got, sent);
    closeFile(ours);
    closeFile(theirs);
  }));
});

Deno.test("what a full socket does not take stays, and a peer that is gone is an error", () => {
  using memory = new GuardedMemory([{ base: 0, size: 0x2_0000 }]);
  const [ours, theirs] = socketPair();
  const vectors = new SocketVectors();
  const chain = new BufferChain(new DmaMap(memory.guest));
  chain.add(0, 0x2_0000, false);
  const buffer = new SendBuffer(0x2_0000);
  let total = 0;
  while (buffer.length === 0) {
    buffer.append(chain, 0, 0x2_0000);
    total += buffer.flush(ours, vectors);
  }
  equal(buffer.flush(ours, vectors), 0);
  const target = new Uint8Array(0x2_0000);
  for (let got = 0; got < total;) got += receiveBytes(theirs, target);
  closeFile(theirs);
  equal(buffer.flush(ours, vectors), -Errno.EPIPE);
  closeFile(ours);
});
