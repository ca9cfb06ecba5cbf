import "../../../tests/c_library.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { testFrame } from "../../../tests/net_peer.ts";
import { QueueRig } from "../../../tests/queue_rig.ts";
import { closeFile } from "../../../ffi/files.ts";
import { Errno } from "../../../ffi/errno.ts";
import { check, errno, libc } from "../../../ffi/libc.ts";
import { Receiver } from "./receiver.ts";
import { NetState } from "./state.ts";

const HEADER = 12;
const LARGEST = 65550;

/** Whatever reads from it gets one header with its frame at a time, as from a tap. */
class Wire implements Disposable {
  readonly fd: number;
  readonly #other: number;

  constructor() {
    const [AF_UNIX, SOCK_DGRAM, NONBLOCK, CLOEXEC] = [1, 2, 0o4000, 0o2000000];
    const pair = new Int32Array(2);
    check(libc.socketpair(AF_UNIX, SOCK_DGRAM | NONBLOCK | CLOEXEC, 0, pair), "socketpair");
    [this.fd, this.#other] = [pair[0]!, pair[1]!];
  }

  /** Sends a frame; false if too much waits before it already. */
  send(frame: Uint8Array, header: Uint8Array = new Uint8Array(HEADER)): boolean {
    const bytes = new Uint8Array(HEADER + frame.length);
    bytes.set(header);
    bytes.set(frame, HEADER);
    const sent = libc.write(this.#other, bytes, BigInt(bytes.length)) >= 0n;
    if (!sent) assert.equal(errno(), Errno.EAGAIN);
    return sent;
  }

  [Symbol.dispose](): void {
    closeFile(this.fd);
    closeFile(this.#other);
  }
}

/** A receiver, its driver, and the wire that it reads from. */
class Rig implements Disposable {
  readonly rig: QueueRig;
  readonly wire = new Wire();
  readonly state = new NetState();
  readonly receiver: Receiver;
  readonly features = { mergeable: true, offloads: true };

  constructor(size: number) {
    this.rig = new QueueRig({ size });
    this.receiver = new Receiver(this.rig.open(), this.state, this.features);
  }

  lend(...pieces: number[]): void {
    this.rig.driver.add({ write: pieces });
  }

  /** One turn of the I/O thread; whether frames or buffers are left is the test's to know. */
  turn(): void {
    while (this.receiver.prepare() && this.receiver.readFrom(this.wire.fd) > 0);
    this.receiver.release();
  }

  /** The frames that the driver has got. */
  frames(): Uint8Array[] {
    const used = this.rig.driver.collect();
    const frames: Uint8Array[] = [];
    for (let i = 0; i < used.length;) {
      const first = used[i]!;
      if (first.written === 0) { // a buffer without room
        i++;
        continue;
      }
      const count = new DataView(first.request.written().buffer).getUint16(10, true);
      const bytes = used.slice(i, i + count)
        .flatMap(({ request, written }) => [...request.written().subarray(0, written)]);
      frames.push(Uint8Array.from(bytes.slice(HEADER)));
      i += count;
    }
    return frames;
  }

  [Symbol.dispose](): void {
    this.wire[Symbol.dispose]();
    assert(this.rig.guarded.intact);
    this.rig[Symbol.dispose]();
  }
}

Deno.test("a header that is cut over descriptors, and a frame that runs over its buffers", () => {
  using rig = new Rig(64);
  rig.lend(5, 3, 4, 1, 100);
  rig.lend(2000);
  rig.lend(7, 8, 9000);
  const frame = testFrame(5000);
  rig.wire.send(frame, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
  rig.turn();
  const [first, ...more] = rig.rig.driver.collect();
  assert.equal(more.length, 2);
  assert.deepEqual(
    [...first!.request.written().subarray(0, HEADER)],
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 3, 0],
  );
  const bytes = [first!, ...more].flatMap((
    { request, written },
  ) => [...request.written().subarray(0, written)]);
  assert.deepEqual(Uint8Array.from(bytes.slice(HEADER)), frame);
});

Deno.test("what is read and has no room waits, byte for byte", () => {
  using rig = new Rig(64);
  rig.lend(100);
  rig.lend(100);
  const frame = testFrame(3000, 5);
  rig.wire.send(frame);
  rig.turn();
  assert.deepEqual(rig.frames(), []);
  rig.lend(100);
  rig.turn();
  assert.deepEqual(rig.frames(), []);
  rig.lend(2000, 2000);
  rig.turn();
  assert.deepEqual(rig.frames(), [frame]);
  assert.equal(rig.state.rx_dropped, 0);
});

Deno.test("a frame that waited is forgotten with its guest", () => {
  using rig = new Rig(64);
  rig.lend(100);
  rig.wire.send(testFrame(3000));
  rig.turn();
  rig.receiver.reset();
  rig.lend(4000);
  rig.wire.send(testFrame(60));
  rig.turn();
  assert.deepEqual(rig.frames(), [testFrame(60)]);
});

Deno.test("an unfinished frame is not for a guest that can't finish it", () => {
  using rig = new Rig(64);
  rig.features.offloads = false;
  rig.lend(2000);
  rig.wire.send(testFrame(100), Uint8Array.of(1));
  rig.wire.send(testFrame(100), Uint8Array.of(0, 1));
  rig.wire.send(testFrame(100), Uint8Array.of(2));
  rig.turn();
  assert.deepEqual(rig.frames(), [testFrame(100)]);
  assert.equal(rig.state.rx_dropped, 2);
});

Deno.test("a buffer in too many pieces is refused when it is its turn", () => {
  using rig = new Rig(1024);
  rig.lend(500);
  rig.lend(...new Array(300).fill(10));
  rig.lend(2000);
  rig.wire.send(testFrame(400));
  rig.wire.send(testFrame(401));
  rig.turn();
  assert.deepEqual(rig.frames(), [testFrame(400), testFrame(401)]);
  assert.equal(rig.state.rx_errors, 1);
});

Deno.test("a buffer without room for a header is refused when it is its turn", () => {
  for (const small of [0, 5]) {
    using rig = new Rig(64);
    rig.wire.send(testFrame(14));
    rig.wire.send(testFrame(14, 1));
    rig.lend(25, 1);
    rig.lend(small);
    rig.lend(26);
    rig.turn();
    assert.deepEqual(rig.frames(), [testFrame(14), testFrame(14, 1)]);
    assert.equal(rig.state.rx_errors, 1);
  }
});

Deno.test("thrown away while the link is down", () => {
  using rig = new Rig(64);
  rig.lend(2000);
  rig.receiver.discarding = true;
  rig.wire.send(testFrame(100));
  rig.turn();
  rig.receiver.discarding = false;
  rig.wire.send(testFrame(101));
  rig.turn();
  assert.deepEqual(rig.frames(), [testFrame(101)]);
  assert.equal(rig.state.rx_dropped, 1);
});

Deno.test("whatever buffers the guest lends: frames come whole and in order, or are counted", () => {
  const buffer = fc.array(fc.oneof(fc.nat(40), fc.nat(3000)), { minLength: 1, maxLength: 6 });
  const step = fc.oneof(
    fc.record({ lend: fc.array(buffer, { minLength: 1, maxLength: 8 }) }),
    fc.record({ frame: fc.oneof(fc.integer({ min: 14, max: 1600 }), fc.nat(LARGEST - 14)) }),
    fc.record({ copied: fc.integer({ min: 14, max: 9000 }) }),
  );
  const steps = fc.array(step, { maxLength: 60 });
  fc.assert(
    fc.property(steps, fc.boolean(), (list, mergeable) => {
      using rig = new Rig(128);
      rig.features.mergeable = mergeable;
      const sent: Uint8Array[] = [];
      const came: Uint8Array[] = [];
      for (const one of list) {
        if ("lend" in one) {
          for (const pieces of one.lend) {
            if (rig.rig.driver.free >= pieces.length) rig.lend(...pieces);
          }
          rig.turn();
        } else if ("frame" in one) {
          const frame = testFrame(Math.max(14, one.frame), sent.length);
          if (rig.wire.send(frame)) sent.push(frame);
          rig.turn();
        } else if (rig.receiver.prepare()) {
          const frame = testFrame(one.copied, sent.length);
          // Only when nothing waits before it is its place in the order known.
          if (rig.receiver.readFrom(rig.wire.fd) < 0) {
            sent.push(frame);
            rig.receiver.take(frame);
          }
          rig.receiver.release();
          rig.turn();
        }
        came.push(...rig.frames());
      }
      // What came is what was sent, in order, but for what was dropped or still waits.
      let at = 0;
      for (const frame of came) {
        while (at < sent.length && !same(sent[at]!, frame)) at++;
        assert(at < sent.length, "a frame came that was not sent, or out of order");
        at++;
      }
      assert.equal(rig.state.rx_packets, came.length);
      assert(came.length + rig.state.rx_dropped <= sent.length);
    }),
    { numRuns: 400 },
  );
});

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
