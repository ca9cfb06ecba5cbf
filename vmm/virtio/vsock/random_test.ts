/**
 * Random guests and random programs on the host at one device: it stays alive, in bounds, and keeps to
 * the credit; what arrives is what was sent.
 */
import "../../../tests/c_library.ts";
import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { nothingOpenedSince, openFiles } from "../../../tests/leaks.ts";
import { TestFolder } from "../../../tests/sh_line.ts";
import { VirtioMachine } from "../../../tests/virtio_machine.ts";
import { VsockGuest, type VsockPacket } from "../../../tests/vsock_guest.ts";
import { HostServer, HostSocket } from "../../../tests/vsock_host.ts";
import { vsock } from "../vsock.ts";
import { Op } from "./packet.ts";

const CID = 3;
const SERVED_PORT = 80;
/** The guest's port that clients on the host connect to. */
const GUEST_PORT = 7;

/** The byte at a place of a stream. */
const byteAt = (place: number) => (place * 31 + (place >> 8)) & 0xff;
const stream = (from: number, length: number) =>
  Uint8Array.from({ length }, (_, i) => byteAt(from + i));

/** What the test knows of a connection that a client on the host has made. */
interface Known {
  readonly ports: { readonly srcPort: number; readonly dstPort: number };
  readonly client: HostSocket;
  bufAlloc: number;
  fwdCnt: number;
  /** Bytes from the guest: sent, and read by the host. */
  fromGuest: number;
  read: number;
  /** Bytes from the host: sent, and got by the guest. */
  fromHost: number;
  got: number;
  consumed: number;
  greeted: boolean;
}

type Step = (world: World) => void;

class World {
  readonly known: Known[] = [];
  readonly servers: HostServer[];
  readonly accepted: HostSocket[] = [];

  constructor(
    readonly vm: VirtioMachine,
    readonly guest: VsockGuest,
    readonly path: string,
  ) {
    this.servers = [new HostServer(`${path}_${SERVED_PORT}`)];
  }

  pick(index: number): Known | undefined {
    return this.known.length === 0 ? undefined : this.known[index % this.known.length];
  }

  /** What the device has for the guest: within the guest's room, in order, never more than it said. */
  take(again = true): VsockPacket[] {
    const packets = this.guest.receive(again);
    for (const packet of packets) {
      equal(packet.dstCid, CID);
      const known = this.known.find(({ ports }) =>
        ports.srcPort === packet.dstPort && ports.dstPort === packet.srcPort
      );
      if (packet.op === Op.RW && packet.dstPort === GUEST_PORT) {
        ok(known, "data of a connection that there isn't");
        ok(known.got - known.fwdCnt + packet.len <= known.bufAlloc, "more than the guest's room");
        deepEqual(packet.data, stream(known.got, packet.len));
        known.got += packet.len;
      }
      if (packet.op === Op.RST && known !== undefined) this.forget(known);
      else if (known !== undefined) ok(packet.fwdCnt <= known.fromGuest, "consumed before it came");
    }
    return packets;
  }

  forget(known: Known): void {
    this.known.splice(this.known.indexOf(known), 1);
    known.client[Symbol.dispose]();
  }

  send(known: Known, packet: Partial<VsockPacket>): void {
    this.guest.send({ ...known.ports, bufAlloc: known.bufAlloc, fwdCnt: known.fwdCnt, ...packet });
  }

  [Symbol.dispose](): void {
    for (const { client } of this.known) client[Symbol.dispose]();
    for (const server of this.servers) server[Symbol.dispose]();
    for (const socket of this.accepted) socket[Symbol.dispose]();
  }
}

const index = fc.nat(5);
const size = fc.oneof(fc.nat(100), fc.nat(70_000));

/** A client connects, and the guest accepts. */
const connects = fc.nat(3000).map((bufAlloc): Step => (world) => {
  const { vm, guest, path, known } = world;
  if (known.length >= 6) return;
  const client = HostSocket.connect(path);
  client.send(`CONNECT ${GUEST_PORT}\n`);
  vm.poll();
  const asked = () => world.take().find(({ op }) => op === Op.REQUEST);
  let request = asked();
  for (let tries = 0; request === undefined && tries < 1000; tries++) request = asked(); // others first
  if (request === undefined) throw new Error("The guest is not asked");
  const ports = { srcPort: GUEST_PORT, dstPort: request.srcPort };
  const start = { bufAlloc, fwdCnt: 0, fromGuest: 0, read: 0, fromHost: 0, got: 0, consumed: 0 };
  known.push({ ports, client, ...start, greeted: false });
  guest.send({ op: Op.RESPONSE, ...ports, bufAlloc });
});

const guestSends = fc.tuple(index, size).map(([i, length]): Step => (world) => {
  const known = world.pick(i);
  if (known === undefined) return;
  const data = stream(known.fromGuest, length);
  known.fromGuest += length;
  world.send(known, { op: Op.RW, data });
});

const guestReads = fc.tuple(index, fc.nat(5000), fc.nat(200_000)).map(
  ([i, consumed, bufAlloc]): Step => (world) => {
    const known = world.pick(i);
    if (known === undefined) return;
    // What is in the ring by now keeps to the room that there was before.
    const came = world.take(false).length;
    known.fwdCnt = Math.min(known.got, known.fwdCnt + consumed);
    known.bufAlloc = bufAlloc;
    world.send(known, { op: Op.CREDIT_UPDATE });
    world.guest.lend(came);
  },
);

const guestShuts = fc.tuple(index, fc.nat(4)).map(([i, flags]): Step => (world) => {
  const known = world.pick(i);
  if (known !== undefined) world.send(known, { op: Op.SHUTDOWN, flags });
});

const hostSends = fc.tuple(index, size).map(([i, length]): Step => (world) => {
  const known = world.pick(i);
  if (known === undefined) return;
  const sent = known.client.send(stream(known.fromHost, length));
  if (sent > 0) known.fromHost += sent;
});

const hostReads = fc.tuple(index, size).map(([i, most]): Step => (world) => {
  const known = world.pick(i);
  if (known === undefined || most === 0) return;
  let bytes = known.client.receive(known.greeted ? most : `OK ${known.ports.dstPort}\n`.length);
  if (!known.greeted && bytes !== undefined && bytes.length > 0) {
    equal(new TextDecoder().decode(bytes), `OK ${known.ports.dstPort}\n`);
    known.greeted = true;
    bytes = new Uint8Array(0);
  }
  if (bytes === undefined) return;
  deepEqual(bytes, stream(known.read, bytes.length));
  known.read += bytes.length;
});

const hostShuts = fc.tuple(index, fc.nat(1)).map(([i, how]): Step => (world) => {
  world.pick(i)?.client.shutdown(how);
});

const hostCloses = index.map((i): Step => (world) => {
  world.pick(i)?.client[Symbol.dispose]();
});

/** Whatever comes to a hostile guest's mind, but for the connections above, which are checked. */
const nonsense = fc.record({
  srcCid: fc.constantFrom(CID, CID, CID, 0, 2, 2 ** 32 + CID),
  dstCid: fc.constantFrom(2, 2, 2, 3, 2 ** 53),
  srcPort: fc.integer({ min: 100, max: 103 }),
  dstPort: fc.constantFrom(SERVED_PORT, SERVED_PORT, 81, 2 ** 30, 2 ** 32 - 1),
  type: fc.constantFrom(1, 1, 1, 0, 2),
  op: fc.oneof(fc.constantFrom(1, 1, 5, 4), fc.nat(9)),
  flags: fc.nat(7),
  bufAlloc: fc.constantFrom(0, 1, 4096, 2 ** 32 - 1),
  fwdCnt: fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1),
  data: fc.nat(300).map((length) => new Uint8Array(length)),
}).map((packet): Step => ({ guest, servers, accepted }) => {
  guest.send(packet);
  try {
    accepted.push(servers[0]!.accept());
    accepted.at(-1)!.send("0123456789");
  } catch {
    // The packet was no connection.
  }
});

const lends = fc.integer({ min: 1, max: 8 }).map((count): Step => ({ vm, guest }) => {
  guest.lend(Math.min(count, vm.driver(0).free));
});

const steps = fc.array(
  fc.oneof(
    connects,
    guestSends,
    guestReads,
    guestShuts,
    hostSends,
    hostReads,
    hostShuts,
    hostCloses,
    nonsense,
    lends,
  ),
  { minLength: 1, maxLength: 60 },
);

Deno.test("random packets and programs: alive, bounded, within the credit, in order", async () => {
  await using folder = new TestFolder();
  const before = openFiles();
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const path = `${folder.path}/v`;
      await using vm = await VirtioMachine.open(vsock, { cid: CID, path });
      using world = new World(vm, new VsockGuest(vm, CID, 4), path);
      for (const step of list) {
        step(world);
        vm.poll();
        world.take();
        equal(vm.status, 15);
        ok(vm.stats.connections! <= list.length);
      }
    }),
    { numRuns: 300 },
  );
  nothingOpenedSince(before);
  deepEqual([...Deno.readDirSync(folder.path)], []);
});
