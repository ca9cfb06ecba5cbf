import "../../tests/c_library.ts";
import assert from "node:assert/strict";
import { HEADER, NetGuest } from "../../tests/net_guest.ts";
import { NetPeer, testFrame } from "../../tests/net_peer.ts";
import {
  TRANSPORTS,
  VirtioMachine,
  type VirtioMachineOptions,
} from "../../tests/virtio_machine.ts";
import { NetFeature } from "./net/features.ts";
import { Status } from "./status.ts";

const CONTROL = 2;
const LINK_UP = 1;

/** Opens a card with its peer. */
async function open(config: Record<string, unknown> = {}, options: VirtioMachineOptions = {}) {
  const peer = new NetPeer();
  const vm = await VirtioMachine.open(peer.type, config, options);
  return { vm, peer };
}

/** Sends a control command, and gives its answer. */
function command(vm: VirtioMachine, ...bytes: number[]): number {
  return commandOn(vm, CONTROL, ...bytes);
}

/** The same where there are more pairs, and the control queue is elsewhere. */
function commandOn(vm: VirtioMachine, queue: number, ...bytes: number[]): number {
  const request = vm.driver(queue).add({ read: [Uint8Array.from(bytes)], write: [1] });
  vm.kick(queue);
  vm.poll();
  assert.equal(vm.driver(queue).collect().length, 1);
  return request.written(0)[0]!;
}

for (const transport of TRANSPORTS) {
  Deno.test(`${transport}: the configuration space has MAC, link status and MTU`, async () => {
    const { vm } = await open({ mac: "02:11:22:33:44:55", mtu: 9000 }, { transport });
    await using _ = vm;
    const mac = Array.from({ length: 6 }, (_, i) => vm.registers.readConfig(i, 1));
    assert.deepEqual(mac, [0x02, 0x11, 0x22, 0x33, 0x44, 0x55]);
    assert.equal(vm.registers.readConfig(6, 2), LINK_UP);
    assert.equal(vm.registers.readConfig(8, 2), 1);
    assert.equal(vm.registers.readConfig(10, 2), 9000);
    assert((vm.features & (1n << BigInt(NetFeature.MTU))) !== 0n);
    assert((vm.features & (1n << BigInt(NetFeature.CSUM))) === 0n, "a stream finishes no checksum");
  });

  Deno.test(`${transport}: frames go out whole however they are cut into descriptors`, async () => {
    const { vm, peer } = await open({}, { transport });
    await using _ = vm;
    const guest = new NetGuest(vm);
    const frame = testFrame(1514);
    guest.send(frame);
    guest.sendRaw([new Uint8Array(5), new Uint8Array(7), frame.slice(0, 1), frame.slice(1)]);
    const joined = new Uint8Array(HEADER + frame.length);
    joined.set(frame, HEADER);
    guest.sendRaw([joined]);
    assert.deepEqual(peer.frames(), [frame, frame, frame]);
    assert.equal(vm.stats.tx_packets, 3);
    assert.equal(vm.stats.tx_bytes, 3 * 1514);
  });

  Deno.test(`${transport}: a frame that came has a header, and interrupts`, async () => {
    const { vm, peer } = await open({}, { transport });
    await using _ = vm;
    const guest = new NetGuest(vm);
    guest.collect();
    vm.takeInterrupt(0);
    const frame = testFrame(60);
    peer.send(frame);
    assert(vm.poll(1000) > 0);
    assert(vm.takeInterrupt(0));
    guest.collect();
    assert.deepEqual(guest.received, [{
      header: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0),
      frame,
    }]);
  });

  Deno.test(`${transport}: a reset in the middle of frames leaves a card that works`, async () => {
    const { vm, peer } = await open({}, { transport });
    await using _ = vm;
    new NetGuest(vm, 1, 100).collect();
    peer.send(testFrame(1000)); // waits for more buffers
    vm.poll(1000);
    vm.reset();
    vm.start();
    const guest = new NetGuest(vm);
    peer.send(testFrame(60, 2));
    assert.deepEqual(await guest.next((frame) => frame), testFrame(60, 2));
    guest.send(testFrame(70));
    assert.deepEqual(peer.frames(), [testFrame(70)]);
  });

  Deno.test(`${transport}: a peer that goes is a link that goes down, and an event`, async () => {
    const { vm, peer } = await open({}, { transport });
    await using _ = vm;
    const guest = new NetGuest(vm);
    guest.collect();
    peer.send(testFrame(60));
    peer.close();
    await vm.until(() => vm.stats.link === 0);
    assert(vm.takeInterrupt(-1));
    assert.equal(vm.registers.readConfig(6, 2), 0);
    assert.match(vm.events[0]!.message!, /its peer has gone/);
    guest.collect();
    assert.deepEqual(guest.received.map(({ frame }) => frame), [testFrame(60)]);
    guest.send(testFrame(60));
    assert.equal(vm.driver(1).collect().length, 1);
    assert.equal(vm.stats.tx_dropped, 1);
    assert.equal(vm.status & Status.DEVICE_NEEDS_RESET, 0);
  });
}

/** A test over each transport. */
function onEach(name: string, test: (openCard: typeof open) => Promise<void>): void {
  for (const transport of TRANSPORTS) {
    Deno.test(`${transport}: ${name}`, () =>
      test((config, options) => open(config, { transport, ...options })));
  }
}

onEach("a frame longer than a buffer goes over several, and says over how many", async (open) => {
  const { vm, peer } = await open();
  await using _ = vm;
  const guest = new NetGuest(vm);
  for (const length of [1514, 1515, 4000, 65550, 60]) {
    peer.send(testFrame(length));
    assert.deepEqual(await guest.next((frame) => frame), testFrame(length));
  }
  assert.equal(vm.stats.rx_dropped, 0);
});

onEach("a frame waits until there are enough buffers for it", async (open) => {
  const { vm, peer } = await open();
  await using _ = vm;
  const guest = new NetGuest(vm, 2);
  peer.send(testFrame(6000));
  peer.send(testFrame(61));
  vm.poll(1000);
  guest.collect();
  assert.deepEqual(guest.received, []);
  guest.lend(1);
  vm.poll();
  guest.collect();
  assert.deepEqual(guest.received, [], "three of four buffers");
  guest.lend(2);
  vm.poll();
  guest.collect();
  assert.deepEqual(guest.received.map(({ frame }) => frame), [testFrame(6000), testFrame(61)]);
});

onEach("a frame that all of the queue's buffers together can't hold is dropped", async (open) => {
  const { vm, peer } = await open({}, { queueSize: 4 });
  await using _ = vm;
  const guest = new NetGuest(vm, 4, 100);
  peer.send(testFrame(1000));
  peer.send(testFrame(61));
  assert.deepEqual(await guest.next((frame) => frame), testFrame(61));
  assert.equal(vm.stats.rx_dropped, 1);
});

onEach("without merged buffers a frame longer than its buffer is dropped", async (open) => {
  const { vm, peer } = await open({}, { without: [NetFeature.MRG_RXBUF] });
  await using _ = vm;
  const guest = new NetGuest(vm, 4);
  peer.send(testFrame(1515));
  peer.send(testFrame(1514));
  assert.deepEqual(await guest.next((frame) => frame), testFrame(1514));
  assert.equal(vm.stats.rx_dropped, 1);
});

onEach("buffers without room for a header go back empty, and the others are used", async (open) => {
  const { vm, peer } = await open();
  await using _ = vm;
  const [small, none] = [
    vm.driver(0).add({ write: [HEADER - 1] }),
    vm.driver(0).add({ read: [testFrame(100)] }),
  ];
  const guest = new NetGuest(vm, 2);
  peer.send(testFrame(60));
  vm.poll(1000);
  const used = vm.driver(0).collect();
  assert.deepEqual(used.map(({ request, written }) => [request.head, written]).slice(0, 2), [
    [small.head, 0],
    [none.head, 0],
  ]);
  assert.deepEqual(used[2]!.request.written().slice(HEADER, HEADER + 60), testFrame(60));
  assert.equal(vm.stats.rx_errors, 2);
  guest.lend(1);
});

onEach("nothing is lost while the guest lends no buffers", async (open) => {
  const { vm, peer } = await open();
  await using _ = vm;
  for (let i = 0; i < 20; i++) peer.send(testFrame(60, i));
  assert.equal(vm.poll(), 0, "nobody looks");
  const guest = new NetGuest(vm, 3);
  for (let i = 0; i < 20; i++) {
    assert.deepEqual(await guest.next((frame) => frame), testFrame(60, i));
  }
});

onEach("frames that are none are counted, and nothing of them goes out", async (open) => {
  const { vm, peer } = await open();
  await using _ = vm;
  const guest = new NetGuest(vm);
  const header = (fields: Record<number, number>) => {
    const bytes = new Uint8Array(HEADER);
    for (const [offset, value] of Object.entries(fields)) bytes[Number(offset)] = value;
    return bytes;
  };
  const bad: Uint8Array[][] = [
    [new Uint8Array(0)],
    [new Uint8Array(3)],
    [new Uint8Array(HEADER)],
    [new Uint8Array(HEADER + 13)],
    [new Uint8Array(HEADER), testFrame(65551)],
    [header({ 0: 1 }), testFrame(100)], // a checksum was not negotiated
    [header({ 1: 1, 4: 100 }), testFrame(100)], // nor was segmentation
  ];
  for (const pieces of bad) guest.sendRaw(pieces);
  vm.driver(1).add({ write: [100] });
  vm.kick(1);
  vm.poll();
  assert.deepEqual(peer.frames(), []);
  assert.equal(vm.stats.tx_errors, bad.length + 1);
  guest.send(testFrame(60));
  assert.deepEqual(peer.frames(), [testFrame(60)]);
  assert.equal(vm.driver(1).pending - vm.driver(1).collect().length, 0);
});

onEach("what the socket has no room for waits in the queue, and comes in order", async (open) => {
  const { vm, peer } = await open();
  await using _ = vm;
  const header = new Uint8Array(HEADER);
  let sent = 0;
  // Chains are given back as the socket takes them: it is full when some stay.
  while (vm.driver(1).pending < 10) {
    vm.driver(1).add({ read: [header, testFrame(9000, sent++)] });
    vm.kick(1);
    vm.poll();
    vm.driver(1).collect();
  }
  const frames: Uint8Array[] = [];
  await vm.until(() => {
    frames.push(...peer.frames());
    return frames.length === sent;
  });
  frames.forEach((frame, i) => assert.deepEqual(frame, testFrame(9000, i)));
  await vm.until(() => vm.driver(1).collect() && vm.driver(1).pending === 0);
  assert.equal(vm.stats.tx_packets, sent);
});

onEach("a peer that breaks the framing is one that has gone", async (open) => {
  const { vm, peer } = await open();
  await using _ = vm;
  new NetGuest(vm);
  peer.sendRaw(Uint8Array.of(0, 1, 0, 15, 1, 2, 3));
  await vm.until(() => vm.stats.link === 0);
  assert.match(vm.events[0]!.message!, /a frame of 65551 bytes/);
});

onEach("the cable can be pulled and put back", async (open) => {
  const { vm, peer } = await open();
  await using _ = vm;
  const guest = new NetGuest(vm);
  guest.collect();
  const { main } = vm.threads;
  assert.equal(main.action!("link", "sideways"), false);
  assert.equal(main.action!("unplug"), false);
  assert(main.action!("link", "down"));
  assert(vm.takeInterrupt(-1));
  assert.equal(vm.registers.readConfig(6, 2), 0);
  guest.send(testFrame(60));
  peer.send(testFrame(60));
  await vm.until(() => vm.stats.rx_dropped === 1);
  assert.deepEqual(peer.frames(), []);
  assert(main.action!("link", "up"));
  assert.equal(vm.registers.readConfig(6, 2), LINK_UP);
  peer.send(testFrame(61));
  assert.deepEqual(await guest.next((frame) => frame), testFrame(61));
  guest.send(testFrame(62));
  assert.deepEqual(peer.frames(), [testFrame(62)]);
  assert.equal(vm.stats.tx_dropped, 1);
});

onEach("control commands are carried out, or refused", async (open) => {
  const { vm } = await open();
  await using _ = vm;
  const [OK, ERR] = [0, 1];
  assert.equal(command(vm, 0, 0, 1), OK, "promiscuous");
  assert.equal(command(vm, 0, 1, 1), OK, "all multicast");
  assert.equal(command(vm, 0, 9, 1), ERR, "no such mode");
  assert.equal(command(vm, 0, 0), ERR, "no value");
  assert.equal(command(vm, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0), OK, "empty tables");
  assert.equal(command(vm, 1, 1, 2, 3, 4, 5, 6, 7), OK, "address");
  assert.equal(vm.registers.readConfig(5, 1), 7);
  assert.equal(command(vm, 1, 1, 2, 3), ERR, "half an address");
  assert.equal(command(vm, 4, 0, 1, 0), ERR, "pairs, which were not negotiated");
  assert.equal(command(vm, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0), ERR, "offloads, the same");
  assert.equal(command(vm, 2, 0, 1, 0), ERR, "VLAN filters");
  assert.equal(command(vm, 7), ERR, "cut off");
  vm.reset();
  assert.equal(vm.registers.readConfig(5, 1), 0x56, "a reset brings the address back");
});

onEach("what a pair was given before it is in use is found when it is", async (open) => {
  const { vm, peer } = await open({ queues: 2 });
  await using _ = vm;
  vm.driver(2).add({ write: [HEADER + 60] });
  vm.driver(3).add({ read: [new Uint8Array(HEADER), testFrame(60, 1)] });
  assert(vm.notify(2));
  assert(vm.notify(3));
  peer.send(testFrame(60, 2));
  vm.poll();
  assert.deepEqual([vm.stats.tx_packets, vm.stats.rx_packets], [0, 0]);
  assert.equal(commandOn(vm, 4, 4, 0, 2, 0), 0);
  assert.deepEqual(peer.frames(), [testFrame(60, 1)]);
  const [received] = vm.driver(2).collect();
  assert.deepEqual(received?.request.written().slice(HEADER), testFrame(60, 2));
  assert.equal(vm.driver(3).collect().length, 1);
  assert(vm.takeInterrupt(2));
});

onEach("a control command that can't be answered breaks the protocol", async (open) => {
  const { vm } = await open();
  await using _ = vm;
  vm.driver(CONTROL).add({ read: [Uint8Array.of(0, 0, 1)] });
  vm.kick(CONTROL);
  vm.poll();
  assert((vm.status & Status.DEVICE_NEEDS_RESET) !== 0);
  vm.reset();
  vm.start();
  assert.equal(command(vm, 0, 0, 1), 0);
});

onEach("a rate limit holds for each direction", async (open) => {
  const limit = { operations: 10, burst: 0.1 };
  const { vm, peer } = await open({ limit }, { fakeClock: true });
  await using _ = vm;
  const guest = new NetGuest(vm);
  guest.collect();
  for (let i = 0; i < 20; i++) {
    guest.send(testFrame(60, i));
    peer.send(testFrame(60, i));
  }
  vm.poll(1000);
  const [first, received] = [peer.frames().length, vm.stats.rx_packets!];
  assert(first >= 1 && first <= 3, `${first} at once`);
  assert(received >= 1 && received <= 3, `${received} at once`);
  vm.advance(1000);
  const second = peer.frames().length;
  assert(second >= 9 && second <= 11, `${second} in a second`);
  assert(vm.stats.rx_packets! >= 9 && vm.stats.rx_packets! <= 14);
  vm.advance(2000);
  assert.equal(first + second + peer.frames().length, 20);
  assert.equal(vm.stats.rx_packets, 20);
});
