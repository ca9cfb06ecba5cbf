import assert from "node:assert/strict";
import "../tests/c_library.ts";
import { Epoll, EpollEvent, TimerFd } from "./epoll.ts";
import { EventFd } from "./eventfd.ts";

const FOREVER = 10_000; // far above what any of these waits takes

Deno.test("epoll names the descriptors that have something, and only those", () => {
  using epoll = new Epoll();
  using first = new EventFd();
  using second = new EventFd();
  epoll.add(first.fd, EpollEvent.IN);
  epoll.add(second.fd, EpollEvent.IN);
  const seen: [number, number][] = [];
  const look = (ms: number) => epoll.wait(ms, (fd, events) => void seen.push([fd, events]));
  assert.equal(look(0), 0);
  second.signal();
  assert.equal(look(FOREVER), 1);
  assert.deepEqual(seen, [[second.fd, EpollEvent.IN]]);
  epoll.remove(second.fd);
  first.signal();
  assert.equal(look(FOREVER), 1);
  assert.equal(seen[1]![0], first.fd);
});

Deno.test("edge-triggered events come once", () => {
  using epoll = new Epoll();
  using event = new EventFd();
  epoll.add(event.fd, EpollEvent.IN + EpollEvent.EDGE);
  event.signal();
  assert.equal(epoll.wait(0, () => {}), 1);
  assert.equal(epoll.wait(0, () => {}), 0);
});

Deno.test("a wait gives no more events than it has room for", () => {
  using epoll = new Epoll(1);
  using first = new EventFd();
  using second = new EventFd();
  for (const event of [first, second]) {
    epoll.add(event.fd, EpollEvent.IN);
    event.signal();
  }
  assert.equal(epoll.wait(0, () => {}), 1);
});

Deno.test("watching twice, or a descriptor that is not there, is an error", () => {
  using epoll = new Epoll();
  using event = new EventFd();
  epoll.add(event.fd, EpollEvent.IN);
  assert.throws(() => epoll.add(event.fd, EpollEvent.IN), /epoll_ctl: file exists \(EEXIST\)/);
  assert.throws(() => epoll.add(-1, EpollEvent.IN), /epoll_ctl: bad file descriptor \(EBADF\)/);
  assert.throws(() => epoll.remove(-1), /epoll_ctl/);
});

Deno.test("a timer expires, counts, and can be disarmed", () => {
  using epoll = new Epoll();
  using timer = new TimerFd();
  epoll.add(timer.fd, EpollEvent.IN);
  assert.equal(timer.take(), 0);
  timer.set(1);
  assert.equal(epoll.wait(FOREVER, (fd) => assert.equal(fd, timer.fd)), 1);
  assert.equal(timer.take(), 1);
  timer.set(0.5, 0.5);
  let count = 0;
  while (count < 3) {
    epoll.wait(FOREVER, () => {});
    count += timer.take();
  }
  timer.set(0);
  timer.take();
  assert.equal(epoll.wait(5, () => {}), 0);
  assert.throws(() => timer.set(-1), /timerfd_settime: invalid argument \(EINVAL\)/);
});
