import "../../tests/c_library.ts";
import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import * as v from "valibot";
import { HostError } from "../../ffi/errors.ts";
import { Shutdown } from "../../ffi/stream_socket.ts";
import { nothingOpenedSince, openFiles } from "../../tests/leaks.ts";
import { TestFolder } from "../../tests/sh_line.ts";
import {
  TRANSPORTS,
  VirtioMachine,
  type VirtioMachineOptions,
} from "../../tests/virtio_machine.ts";
import { VsockGuest, type VsockPacket } from "../../tests/vsock_guest.ts";
import { HostServer, HostSocket } from "../../tests/vsock_host.ts";
import { vsock } from "./vsock.ts";
import { Op, ShutdownFlag } from "./vsock/packet.ts";

const CID = 42;
const PORT = 1024;
const HOST_PORT = 2 ** 30;
const NAMES = Object.fromEntries(Object.entries(Op).map(([name, op]) => [op, name]));

const text = (data: string) => new TextEncoder().encode(data);
const ops = (packets: VsockPacket[]) => packets.map(({ op }) => NAMES[op]);
const said = (packets: VsockPacket[]) =>
  new TextDecoder().decode(
    Uint8Array.from(packets.filter(({ op }) => op === Op.RW).flatMap(({ data }) => [...data])),
  );

interface Place {
  readonly vm: VirtioMachine;
  readonly guest: VsockGuest;
  /** The device's unix socket. */
  readonly path: string;
}

/** A test over each transport; nothing is left open, and no file. */
function onEach(
  name: string,
  test: (place: Place) => void | Promise<void>,
  options: VirtioMachineOptions & { buffers?: number } = {},
): void {
  for (const transport of TRANSPORTS) {
    Deno.test(`vsock over ${transport}: ${name}`, async () => {
      await using folder = new TestFolder();
      const before = openFiles();
      const path = `${folder.path}/v`;
      {
        await using vm = await VirtioMachine.open(vsock, { cid: CID, path }, {
          transport,
          ...options,
        });
        await test({ vm, path, guest: new VsockGuest(vm, CID, options.buffers) });
      }
      deepEqual([...Deno.readDirSync(folder.path)], []);
      nothingOpenedSince(before);
    });
  }
}

/** A client on the host that the guest has accepted; its "OK" is read. */
function connected({ vm, guest, path }: Place, bufAlloc = 0x1_0000): HostSocket {
  const client = HostSocket.connect(path);
  client.send(`CONNECT ${PORT}\n`);
  vm.poll();
  const [request] = guest.receive();
  equal(request!.op, Op.REQUEST);
  guest.send({ op: Op.RESPONSE, srcPort: PORT, dstPort: request!.srcPort, bufAlloc });
  equal(client.text(), `OK ${request!.srcPort}\n`);
  return client;
}

/** A packet of the connection that {@linkcode connected} makes first. */
const of = (packet: Partial<VsockPacket>) => ({ srcPort: PORT, dstPort: HOST_PORT, ...packet });

onEach("a client's CONNECT reaches the guest, and bytes flow both ways", (place) => {
  const { vm, guest, path } = place;
  using client = HostSocket.connect(path);
  client.send("CONN");
  vm.poll();
  deepEqual(guest.receive(), []);
  client.send(`ECT ${PORT}\nhel`); // what is behind the line is for the guest
  vm.poll();
  const [request] = guest.receive();
  equal(request!.op, Op.REQUEST);
  deepEqual(
    [request!.srcCid, request!.dstCid, request!.srcPort, request!.dstPort, request!.type],
    [2, CID, HOST_PORT, PORT, 1],
  );
  equal(request!.bufAlloc, 2 ** 18);
  equal(client.text(), undefined);
  guest.send(of({ op: Op.RESPONSE }));
  equal(client.text(), `OK ${HOST_PORT}\n`);
  client.send("lo");
  equal(said(guest.receive()), "hello");
  guest.send(of({ op: Op.RW, data: text("good day") }));
  equal(client.text(), "good day");
  const { connections, by_host, sent_bytes, received_bytes } = vm.stats;
  deepEqual([connections, by_host, sent_bytes, received_bytes], [1, 1, 8, 5]);
});

onEach("a guest reaches who listens at path_PORT, and is refused where nobody does", (place) => {
  const { vm, guest, path } = place;
  using server = new HostServer(`${path}_80`);
  guest.send({ op: Op.REQUEST, srcPort: 5000, dstPort: 80 });
  guest.send({ op: Op.REQUEST, srcPort: 5000, dstPort: 81 });
  const answers = guest.receive();
  deepEqual(answers.map(({ op, srcPort }) => [NAMES[op], srcPort]).sort(), [
    ["RESPONSE", 80],
    ["RST", 81],
  ]);
  using socket = server.accept();
  guest.send({ op: Op.RW, srcPort: 5000, dstPort: 80, data: text("GET") });
  equal(socket.text(), "GET");
  socket.send("200");
  vm.poll();
  equal(said(guest.receive()), "200");
  const { connections, by_guest, refused } = vm.stats;
  deepEqual([connections, by_guest, refused], [1, 1, 1]);
});

onEach("a client is hung up on when the guest refuses, and when its line is wrong", ({
  vm,
  guest,
  path,
}) => {
  using client = HostSocket.connect(path);
  client.send(`connect ${PORT}\r\n`);
  vm.poll();
  equal(guest.receive()[0]!.dstPort, PORT);
  guest.send(of({ op: Op.RST }));
  equal(client.text(), "");
  for (const line of ["GET / HTTP/1.1\r\n", "CONNECT x\n", "CONNECT 4294967296\n", "\n"]) {
    using wrong = HostSocket.connect(path);
    wrong.send(line);
    vm.poll();
    equal(wrong.text(), "", line);
  }
  using long = HostSocket.connect(path);
  long.send("C".repeat(32));
  vm.poll();
  equal(long.text(), "");
  equal(vm.stats.connections, 0);
  deepEqual(guest.receive(), []);
});

onEach("a client that comes before the guest is ready waits for it", ({ vm, path }) => {
  using client = HostSocket.connect(path);
  client.send(`CONNECT ${PORT}\n`);
  vm.poll();
  vm.reset(); // the driver's first act
  vm.start();
  vm.poll();
  const guest = new VsockGuest(vm, CID);
  deepEqual(ops(guest.receive()), ["REQUEST"]);
}, { start: false, buffers: 0 });

onEach("the host ends its direction, then the guest its own", (place) => {
  const { vm, guest } = place;
  using client = connected(place);
  client.send("last");
  client.shutdown(Shutdown.WR);
  vm.poll();
  const packets = guest.receive();
  deepEqual(ops(packets), ["RW", "SHUTDOWN"]);
  equal(packets[1]!.flags, ShutdownFlag.SEND);
  guest.send(of({ op: Op.RW, data: text("answer") }));
  equal(client.text(), "answer");
  guest.send(of({ op: Op.SHUTDOWN, flags: ShutdownFlag.SEND }));
  equal(client.text(), "");
  // Nobody can say anything any more: the guest confirms the end with RST.
  const [end] = guest.receive();
  deepEqual([end!.op, end!.flags], [Op.SHUTDOWN, ShutdownFlag.BOTH]);
  guest.send(of({ op: Op.RST }));
  deepEqual(guest.receive(), []);
  equal(vm.stats.connections, 0);
});

onEach("the guest ends its direction, and the host still sends", (place) => {
  const { vm, guest } = place;
  using client = connected(place);
  guest.send(of({ op: Op.SHUTDOWN, flags: ShutdownFlag.SEND }));
  equal(client.text(), "");
  client.send("more");
  equal(said(guest.receive()), "more");
  guest.send(of({ op: Op.RW, data: text("x") })); // it has said that it wouldn't
  deepEqual(ops(guest.receive()), ["RST"]);
  equal(vm.stats.connections, 0);
});

onEach("a guest that takes no more has the host's writes fail", (place) => {
  const { guest } = place;
  using client = connected(place);
  guest.send(of({ op: Op.SHUTDOWN, flags: ShutdownFlag.RECEIVE }));
  equal(client.send("x"), -32);
  guest.send(of({ op: Op.RW, data: text("still") }));
  equal(client.text(), "still");
  deepEqual(guest.receive(), []);
});

onEach(
  "a host that closes has what it sent delivered first; what comes then is dropped",
  (place) => {
    const { vm, guest } = place;
    const client = connected(place);
    client.send("bye");
    client[Symbol.dispose]();
    const packets = guest.receive();
    deepEqual(ops(packets), ["RW", "SHUTDOWN"]);
    equal(packets[1]!.flags, ShutdownFlag.BOTH);
    guest.send(of({ op: Op.RW, data: text("nobody") }));
    guest.send(of({ op: Op.SHUTDOWN, flags: ShutdownFlag.BOTH }));
    deepEqual(ops(guest.receive()), ["RST"]);
    equal(vm.stats.connections, 0);
  },
);

onEach("a guest that closes has what it sent delivered, however late", (place) => {
  const { vm, guest } = place;
  using client = connected(place);
  const data = new Uint8Array(2 ** 18).map((_, i) => i * 7);
  guest.send(of({ op: Op.RW, data: text("0") }));
  equal(client.text(), "0");
  for (let at = 0; at < data.length; at += 2 ** 16) {
    guest.send(of({ op: Op.RW, data: data.slice(at, at + 2 ** 16) }));
  }
  guest.send(of({ op: Op.SHUTDOWN, flags: ShutdownFlag.BOTH }));
  deepEqual(ops(guest.receive()).at(-1), "RST");
  // Its ports are free at once.
  guest.send(of({ op: Op.RW, data: text("x") }));
  deepEqual(ops(guest.receive()), ["RST"]);
  let got = 0;
  for (;;) {
    vm.poll();
    const bytes = client.receive();
    if (bytes === undefined) continue;
    if (bytes.length === 0) break;
    ok(bytes.every((byte, i) => byte === data[got + i]));
    got += bytes.length;
  }
  equal(got, data.length);
  vm.poll();
  equal(vm.stats.connections, 0);
});

onEach("a guest has 256 KiB of credit, and is told when the host has read", (place) => {
  const { vm, guest } = place;
  using client = connected(place);
  const piece = new Uint8Array(2 ** 16);
  // As much as the host's own buffer takes is forwarded; then 256 KiB stay here.
  let sent = 0;
  let forwarded = 0;
  for (;;) {
    for (const { fwdCnt } of guest.receive()) forwarded = fwdCnt;
    const credit = 2 ** 18 - (sent - forwarded);
    if (credit === 0) break;
    const length = Math.min(credit, piece.length);
    guest.send(of({ op: Op.RW, data: piece.subarray(0, length) }));
    sent += length;
  }
  let read = 0;
  while (read < sent) {
    read += client.receive()?.length ?? 0;
    vm.poll();
  }
  const updates = guest.receive();
  equal(updates.at(-1)!.op, Op.CREDIT_UPDATE);
  ok(sent - updates.at(-1)!.fwdCnt <= 2 ** 17);
  guest.send(of({ op: Op.CREDIT_REQUEST }));
  const [answer] = guest.receive();
  deepEqual([answer!.op, answer!.fwdCnt, answer!.bufAlloc], [Op.CREDIT_UPDATE, sent, 2 ** 18]);
});

onEach("more than the credit is refused, and the others go on", (place) => {
  const { vm, guest } = place;
  using client = connected(place);
  using other = HostSocket.connect(place.path);
  other.send("CONNECT 7\n");
  vm.poll();
  const [request] = guest.receive();
  const ports = { srcPort: 7, dstPort: request!.srcPort };
  guest.send({ op: Op.RESPONSE, ...ports });
  equal(other.text(), `OK ${request!.srcPort}\n`);
  const piece = new Uint8Array(2 ** 18);
  for (let i = 0; i < 4; i++) guest.send(of({ op: Op.RW, data: piece }));
  ok(ops(guest.receive()).includes("RST"));
  while (client.receive()?.length !== 0) vm.poll(); // it ends
  guest.send({ op: Op.RW, ...ports, data: text("still here") });
  equal(other.text(), "still here");
  // One packet longer than all credit there is.
  guest.send({ op: Op.RW, ...ports, data: new Uint8Array(2 ** 18 + 1) });
  deepEqual(ops(guest.receive()), ["RST"]);
  equal(vm.stats.connections, 0);
});

onEach("the guest gets no more than it has room for, and is asked once for more", (place) => {
  const { guest } = place;
  using client = connected(place, 10);
  client.send("0123456789abcdef");
  const packets = guest.receive();
  deepEqual(ops(packets), ["RW", "CREDIT_REQUEST"]);
  equal(said(packets), "0123456789");
  // A guest that answers and has no room is not asked again: it would go on for ever.
  guest.send(of({ op: Op.CREDIT_UPDATE, bufAlloc: 10, fwdCnt: 0 }));
  deepEqual(guest.receive(), []);
  guest.send(of({ op: Op.CREDIT_UPDATE, bufAlloc: 10, fwdCnt: 4 }));
  const more = guest.receive();
  equal(said(more), "abcd");
  deepEqual(ops(more), ["RW", "CREDIT_REQUEST"]);
  // One that lies about what it has consumed stops only itself.
  guest.send(of({ op: Op.CREDIT_UPDATE, bufAlloc: 10, fwdCnt: 1000 }));
  deepEqual(guest.receive(), []);
  guest.send(of({ op: Op.CREDIT_UPDATE, bufAlloc: 10, fwdCnt: 14 }));
  equal(said(guest.receive()), "ef");
});

onEach(
  "without receive buffers everything waits, and then comes in turn",
  ({ vm, guest, path }) => {
    using server = new HostServer(`${path}_80`);
    guest.send({ op: Op.REQUEST, srcPort: 1, dstPort: 80 });
    guest.send({ op: Op.REQUEST, srcPort: 2, dstPort: 80 });
    guest.send({ op: Op.REQUEST, srcPort: 3, dstPort: 81 });
    using first = server.accept();
    using second = server.accept();
    const data = new Uint8Array(10_000);
    first.send(data);
    second.send(data);
    vm.poll();
    deepEqual(guest.receive(), []);
    guest.lend(9);
    const packets = guest.receive();
    deepEqual(packets.map(({ op, dstPort, len }) => `${NAMES[op]} ${dstPort} ${len}`), [
      "RST 3 0",
      "RESPONSE 1 0",
      "RESPONSE 2 0",
      "RW 1 4096",
      "RW 2 4096",
      "RW 1 4096",
      "RW 2 4096",
      "RW 1 1808",
      "RW 2 1808",
    ]);
  },
  { buffers: 0 },
);

onEach("a storm of connects waits in the queue, and each is answered once", ({ vm, guest }) => {
  let asked = 0;
  const answered = new Set<number>();
  for (let round = 0; round < 20; round++) {
    while (vm.driver(1).free > 0) guest.queue({ op: Op.REQUEST, srcPort: asked++, dstPort: 80 });
    guest.flush();
    // Without buffers no more than 256 answers wait; the rest stays in the queue.
    if (round < 2) continue;
    if (round === 2) equal(vm.driver(1).pending, 256);
    guest.lend(100);
    for (const { op, dstPort } of guest.receive(false)) {
      equal(op, Op.RST);
      equal(answered.has(dstPort), false);
      answered.add(dstPort);
    }
  }
  while (answered.size < asked) {
    guest.lend(100);
    for (const { dstPort } of guest.receive(false)) answered.add(dstPort);
  }
  equal(vm.stats.refused, asked);
}, { buffers: 0 });

onEach("packets that make no sense are refused, and cost only their connection", (place) => {
  const { vm, guest } = place;
  const wrong: [Partial<VsockPacket>, string[]][] = [
    [{ srcCid: 3, op: Op.RW }, []], // nobody to answer
    [{ srcCid: CID + 2 ** 32, op: Op.RW }, []],
    [{ dstCid: 3, op: Op.REQUEST }, ["RST"]],
    [{ dstCid: 2 + 2 ** 32, op: Op.REQUEST }, ["RST"]],
    [{ type: 2, op: Op.REQUEST }, ["RST"]],
    [{ dstPort: 9, op: Op.RST }, []], // an RST is never answered
    [{ dstPort: 9, op: 0 }, ["RST"]],
    [{ dstPort: 9, op: Op.SHUTDOWN, flags: 3 }, ["RST"]],
  ];
  using client = connected(place);
  for (const [packet, answers] of wrong) {
    guest.send(of(packet));
    deepEqual(ops(guest.receive()), answers, JSON.stringify(packet));
  }
  guest.send(of({ op: Op.RW, data: text("alive") }));
  equal(client.text(), "alive");
  equal(vm.stats.misaddressed, 2);
  const fatal: Partial<VsockPacket>[] = [
    { op: 0 },
    { op: 8 },
    { op: 0xffff },
    { op: Op.REQUEST },
    { op: Op.RESPONSE },
    { op: Op.RW, len: 100, data: text("short") },
    { op: Op.RW, len: 2 ** 32 - 1 },
  ];
  for (const packet of fatal) {
    using victim = HostSocket.connect(place.path);
    victim.send(`CONNECT 7\n`);
    vm.poll();
    const [request] = guest.receive();
    const ports = { srcPort: 7, dstPort: request!.srcPort };
    guest.send({ op: Op.RESPONSE, ...ports });
    guest.send({ ...packet, ...ports });
    deepEqual(ops(guest.receive()), ["RST"], JSON.stringify(packet));
    equal(victim.text(), `OK ${request!.srcPort}\n`);
    equal(victim.text(), "");
  }
  for (const op of [Op.RW, Op.SHUTDOWN, Op.CREDIT_UPDATE, Op.CREDIT_REQUEST]) {
    using early = HostSocket.connect(place.path);
    early.send(`CONNECT 7\n`);
    vm.poll();
    const [request] = guest.receive();
    guest.send({ op, srcPort: 7, dstPort: request!.srcPort });
    deepEqual(ops(guest.receive()), ["RST"]);
    equal(early.text(), "");
  }
  equal(vm.stats.connections, 1);
  equal(vm.status, 15);
});

onEach(
  "a packet without a whole header, or a buffer with no room, needs a reset",
  ({ vm, guest }) => {
    vm.driver(1).add({ read: [new Uint8Array(43)] });
    vm.kick(1);
    vm.poll();
    equal(vm.status & 64, 64);
    vm.reset();
    vm.start();
    equal(vm.status, 15);
    vm.driver(0).add({ write: [44] });
    guest.send({ op: Op.REQUEST, srcPort: 1, dstPort: 1 });
    equal(vm.status & 64, 64);
    deepEqual(vm.events.map(({ kind }) => kind), ["needs-reset", "needs-reset"]);
  },
  { buffers: 0 },
);

onEach("a reset ends the connections, whichever thread it is made in", (place) => {
  const { vm } = place;
  using client = connected(place);
  using waiting = HostSocket.connect(place.path);
  vm.poll();
  vm.reset();
  vm.start();
  const guest = new VsockGuest(vm, CID);
  equal(client.text(), "");
  equal(vm.stats.connections, 0);
  // One who has not said what it wants yet has lost nothing.
  waiting.send("CONNECT 5\n");
  vm.poll();
  deepEqual(ops(guest.receive()), ["REQUEST"]);
});

onEach(
  "a transport reset ends the connections, and the guest is told when it has a buffer",
  (place) => {
    const { vm } = place;
    using client = connected(place);
    ok(vm.threads.main.action!("transport-reset"));
    equal(vm.threads.main.action!("nonsense"), false);
    vm.poll();
    equal(client.text(), "");
    vm.driver(2).add({ write: [4] });
    vm.kick(2);
    vm.poll();
    const [event] = vm.driver(2).collect();
    equal(event!.written, 4);
    deepEqual([...event!.request.written()], [0, 0, 0, 0]);
    vm.driver(2).add({ write: [4] });
    vm.kick(2);
    vm.poll();
    deepEqual(vm.driver(2).collect(), []);
  },
);

onEach("who keeps silent is hung up on after 30 s", (place) => {
  const { vm, guest, path } = place;
  using silent = HostSocket.connect(path);
  vm.poll();
  using asked = HostSocket.connect(path);
  asked.send(`CONNECT ${PORT}\n`);
  vm.poll();
  deepEqual(ops(guest.receive()), ["REQUEST"]);
  vm.advance(29_999);
  deepEqual([silent.text(), asked.text()], [undefined, undefined]);
  vm.advance(1);
  deepEqual([silent.text(), asked.text()], ["", ""]);
  deepEqual(ops(guest.receive()), ["RST"]);
  const client = connected(place);
  client[Symbol.dispose]();
  deepEqual(ops(guest.receive()), ["SHUTDOWN"]);
  vm.advance(30_000);
  deepEqual(ops(guest.receive()), ["RST"]);
  equal(vm.stats.connections, 0);
}, { fakeClock: true });

onEach("a client that gives up before it is accepted is forgotten", (place) => {
  const { vm, guest, path } = place;
  const unasked = HostSocket.connect(path);
  unasked[Symbol.dispose]();
  const asked = HostSocket.connect(path);
  asked.send(`CONNECT ${PORT}\n`);
  vm.poll();
  deepEqual(ops(guest.receive()), ["REQUEST"]);
  asked[Symbol.dispose]();
  deepEqual(ops(guest.receive()), ["RST"]);
  equal(vm.stats.connections, 0);
});

onEach("the 1024th connection is refused, and one that ends makes room", (place) => {
  const { vm, guest, path } = place;
  using server = new HostServer(`${path}_80`);
  const sockets: HostSocket[] = [];
  for (let i = 0; i < 1023; i++) {
    guest.send({ op: Op.REQUEST, srcPort: i, dstPort: 80 });
    deepEqual(ops(guest.receive()), ["RESPONSE"]);
    sockets.push(server.accept());
  }
  guest.send({ op: Op.REQUEST, srcPort: 2000, dstPort: 80 });
  deepEqual(ops(guest.receive()), ["RST"]);
  using client = HostSocket.connect(path);
  client.send("CONNECT 1\n");
  equal(vm.poll() < 10, true); // and it does not turn in a circle
  deepEqual(guest.receive(), []);
  equal(vm.stats.connections, 1023);
  guest.send({ op: Op.RST, srcPort: 0, dstPort: 80 });
  deepEqual(ops(guest.receive()), ["REQUEST"]);
  for (const socket of sockets) socket[Symbol.dispose]();
});

onEach("the configuration space holds the CID", ({ vm }) => {
  equal(vm.registers.readConfig(0, 4), CID);
  equal(vm.registers.readConfig(4, 4), 0);
  equal(vm.registers.readConfig(0, 1), CID);
  equal(vm.registers.readConfig(2, 2), 0);
});

Deno.test("a document's vsock is checked", async () => {
  const schema = vsock.schema!;
  equal(v.parse(schema, { path: "/a" }).cid, 3);
  for (
    const wrong of [
      { cid: 2, path: "/a" },
      { cid: 2 ** 32 - 1, path: "/a" },
      { cid: 3.5, path: "/a" },
      { cid: 3 },
      { path: "" },
      { path: "/\0" },
      { path: `/${"ü".repeat(48)}` },
    ]
  ) {
    throws(() => v.parse(schema, wrong));
  }
  await using folder = new TestFolder();
  const path = `${folder.path}/v`;
  await using _first = await VirtioMachine.open(vsock, { path });
  await rejects(VirtioMachine.open(vsock, { path }), HostError);
});

onEach("it closes while clients that fill it have not said what they want", ({ vm, path }) => {
  const clients: HostSocket[] = [];
  for (let i = 0; i < 1023; i++) {
    clients.push(HostSocket.connect(path));
    vm.poll();
  }
  try {
    vm.closeDevice();
    for (const client of clients) equal(client.text(), "");
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
});
