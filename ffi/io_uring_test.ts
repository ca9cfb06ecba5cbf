import "../tests/c_library.ts";
import assert from "node:assert/strict";
import { addressOf } from "./address_of.ts";
import { Epoll, EpollEvent } from "./epoll.ts";
import { Errno } from "./errno.ts";
import { closeFile, openFile, OpenFlag } from "./files.ts";
import { IoUring } from "./io_uring.ts";
import { makePipe } from "./pipe.ts";

/** `struct iovec`s of whole buffers. */
function iovecs(...buffers: Uint8Array<ArrayBuffer>[]): BigUint64Array<ArrayBuffer> {
  return BigUint64Array.from(buffers.flatMap((buffer) => [
    BigInt(addressOf(buffer)),
    BigInt(buffer.length),
  ]));
}

/** Runs what is queued to its end; gives the results by tag. */
function finish(ring: IoUring): Map<number, number> {
  const results = new Map<number, number>();
  while (ring.queued + ring.inFlight > 0) {
    ring.wait((tag, result) => void results.set(tag, result));
  }
  return results;
}

function withFile(work: (fd: number, path: string) => void): void {
  const path = Deno.makeTempFileSync();
  const fd = openFile(path, OpenFlag.RDWR);
  try {
    work(fd, path);
  } finally {
    closeFile(fd);
    Deno.removeSync(path);
  }
}

Deno.test("vectors are written to a file and read from it, each completion with its tag", () => {
  withFile((fd, path) => {
    using ring = new IoUring(8);
    const [a, b] = [new Uint8Array(600).fill(1), new Uint8Array(300).fill(2)];
    const out = iovecs(a, b);
    ring.writev(7, fd, addressOf(out), 2, 5_000);
    assert.deepEqual(finish(ring), new Map([[7, 900]]));
    assert.deepEqual(
      Deno.readFileSync(path).slice(5_590, 5_610),
      Uint8Array.of(...a.slice(0, 10), ...b.slice(0, 10)),
    );
    const back = new Uint8Array(1000);
    const into = iovecs(back);
    ring.readv(8, fd, addressOf(into), 1, 5_300);
    ring.fdatasync(9, fd);
    assert.deepEqual(finish(ring), new Map([[8, 600], [9, 0]]));
    assert.deepEqual(back.slice(0, 600), Uint8Array.of(...a.slice(300), ...b));
  });
});

Deno.test("offsets above 4 GiB arrive whole", () => {
  withFile((fd, path) => {
    using ring = new IoUring(4);
    const out = iovecs(new Uint8Array([42]));
    ring.writev(1, fd, addressOf(out), 1, 2 ** 33 + 5);
    ring.fallocate(2, fd, 0, 2 ** 34, 4096);
    assert.deepEqual(finish(ring), new Map([[1, 1], [2, 0]]));
    assert.equal(Deno.statSync(path).size, 2 ** 34 + 4096);
  });
});

Deno.test("more operations than the ring has entries are submitted on the way", () => {
  withFile((fd, path) => {
    using ring = new IoUring(4);
    const bytes = Array.from({ length: 6 }, (_, i) => new Uint8Array([i]));
    const vectors = bytes.map((b) => iovecs(b));
    vectors.forEach((vector, i) => ring.writev(i, fd, addressOf(vector), 1, i));
    assert.equal(finish(ring).size, 6);
    assert.deepEqual(Deno.readFileSync(path), Uint8Array.of(0, 1, 2, 3, 4, 5));
  });
});

Deno.test("a failing call's result is its errno, and the rest of the batch goes on", () => {
  withFile((fd) => {
    using ring = new IoUring(4);
    const vector = iovecs(new Uint8Array(1));
    ring.readv(1, 1_000_000, addressOf(vector), 1, 0);
    ring.fallocate(2, fd, 0xff00, 0, 1);
    ring.fdatasync(3, fd);
    assert.deepEqual(finish(ring), new Map([[1, -9], [2, -Errno.ENOTSUP], [3, 0]]));
  });
});

Deno.test("the eventfd tells a thread that waits by epoll", () => {
  withFile((fd) => {
    using ring = new IoUring(4);
    using epoll = new Epoll();
    epoll.add(ring.completionFd, EpollEvent.IN + EpollEvent.EDGE);
    for (let tag = 0; tag < 3; tag++) {
      ring.fallocate(tag, fd, 0, 0, 4096);
      ring.submit();
      const done: number[] = [];
      while (done.length === 0) {
        assert.equal(epoll.wait(10_000, (ready) => assert.equal(ready, ring.completionFd)), 1);
        ring.reap((completed) => void done.push(completed));
      }
      assert.deepEqual(done, [tag]);
    }
  });
});

Deno.test("a read that waits for data is cancelled", () => {
  using ring = new IoUring(4);
  const eventfd = openFile("/dev/ptmx", OpenFlag.RDWR | OpenFlag.NOCTTY);
  try {
    const vector = iovecs(new Uint8Array(8));
    ring.readv(5, eventfd, addressOf(vector), 1, 0);
    ring.submit();
    ring.cancel(5);
    const [tag, result] = [...finish(ring)][0]!;
    assert.equal(tag, 5);
    assert.ok(result === -125 || result === -Errno.EINTR, String(result));
  } finally {
    closeFile(eventfd);
  }
});

Deno.test("a ring of no entries is refused", () => {
  assert.throws(() => new IoUring(0), { code: "EINVAL" });
});

Deno.test("what completes at once is reaped at once, however many", () => {
  using pipe = makePipe();
  using ring = new IoUring(64);
  const into = iovecs(new Uint8Array(1));
  for (let tag = 0; tag < 64; tag++) ring.readv(tag, pipe.reader.fd, addressOf(into), 1, 0);
  ring.submit();
  pipe.writer[Symbol.dispose]();
  const tags: number[] = [];
  assert.equal(ring.reap((tag) => void tags.push(tag)), 64);
  assert.deepEqual(tags.sort((a, b) => a - b), Array.from({ length: 64 }, (_, tag) => tag));
});
