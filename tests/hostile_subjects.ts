/**
 * Every virtio device with a driver that knows what its requests look like, for `ring_mutator.ts` to
 * spoil: fields are mostly right, at times at their limits, at times anything.
 *
 * @module
 */
import assert from "node:assert/strict";
import { balloon } from "../vmm/virtio/balloon.ts";
import { virtioConsole } from "../vmm/virtio/console.ts";
import { disk } from "../vmm/virtio/disk.ts";
import { rng } from "../vmm/virtio/rng.ts";
import { share } from "../vmm/virtio/share.ts";
import { vsock } from "../vmm/virtio/vsock.ts";
import { blockHeader, blockRange } from "./block_guest.ts";
import { echo } from "./echo_device.ts";
import { NetPeer } from "./net_peer.ts";
import { answersOn, type RandomNumbers, type RingSubject } from "./ring_mutator.ts";
import type { RequestParts } from "./virtio_driver.ts";

const PAGE = 4096;
const SECTOR = 512;
const DISK_SECTORS = 256;

/** A device to be lied to, made anew for each run. */
export interface HostileSubject {
  /** The word in the document. */
  readonly name: string;
  /**
   * Makes it.
   *
   * @param folder An empty one, which goes away afterwards
   */
  make(folder: string): RingSubject;
}

/** All of them. */
export const HOSTILE_SUBJECTS: readonly HostileSubject[] = [
  {
    name: "echo",
    make: () => ({
      type: echo,
      request: (_queue, random) => ({
        read: Array.from({ length: random.below(3) }, () => random.bytes(1 + random.below(200))),
        write: [random.below(300), random.below(300)],
      }),
      proof: answersOn(0, { read: [Uint8Array.of(1, 2, 3)], write: [3] }),
    }),
  },
  {
    name: "rng",
    make: () => ({
      type: rng,
      request: (_queue, random) => ({ write: [random.below(PAGE), random.below(64)] }),
      proof: answersOn(0, { write: [16] }),
    }),
  },
  { name: "balloon", make: makeBalloon },
  { name: "disk", make: makeDisk },
  { name: "net", make: makeNet },
  { name: "console", make: makeConsole },
  { name: "vsock", make: makeVsock },
  { name: "share", make: makeShare },
];

function makeBalloon(): RingSubject {
  const pages = Uint32Array.of(0x800, 0x801);
  return {
    type: balloon,
    request(queue, random) {
      switch (queue) {
        case 2: // statistics
          return { read: [random.bytes(10 * random.below(20))] };
        case 4: // free page reporting
          return { write: [PAGE, { address: 0x80_0000, length: PAGE * random.below(16) }] };
        default:
          return { read: [bytesOf(1 + random.below(64), () => random.below(PAGE + 64))] };
      }
    },
    proof: answersOn(0, { read: [new Uint8Array(pages.buffer)] }),
  };
}

function makeDisk(folder: string): RingSubject {
  const path = `${folder}/disk`;
  Deno.writeFileSync(path, new Uint8Array(DISK_SECTORS * SECTOR));
  return {
    type: disk,
    config: { path },
    request(_queue, random) {
      const sectors = random.below(8);
      const sector = random.pick([0, random.below(DISK_SECTORS), DISK_SECTORS - 4, 2 ** 40]);
      const type = random.pick([0, 0, 0, 1, 1, 1, 4, 8, 11, 13, 42, 2 ** 31]);
      const header = blockHeader(type, sector);
      if (type === 0 || type === 8) return { read: [header], write: [sectors * SECTOR, 1] };
      const data = type >= 11
        ? blockRange(sector, sectors, random.below(3))
        : random.bytes(sectors * SECTOR);
      return { read: [header, data], write: [1] };
    },
    proof: answersOn(0, { read: [blockHeader(0, 1)], write: [SECTOR, 1] }),
  };
}

function makeNet(): RingSubject {
  const peer = new NetPeer();
  return {
    type: peer.type,
    request(queue, random) {
      if (queue === 0) return { write: [12, 1514] };
      if (queue === 1) return { read: [netHeader(random), random.bytes(random.below(1600))] };
      const command = Uint8Array.of(random.below(6), random.below(4));
      return { read: [command, random.bytes(random.below(20))], write: [1] };
    },
    proof(vm) {
      peer.frames(); // what the socket still holds stops the card
      answersOn(1, { read: [new Uint8Array(12), new Uint8Array(60)] })(vm);
      assert.deepEqual(peer.frames().at(-1), new Uint8Array(60));
    },
  };
}

/** `struct virtio_net_hdr`, at times one that asks for offloads. */
function netHeader(random: RandomNumbers): Uint8Array<ArrayBuffer> {
  return random.below(3) === 0 ? random.bytes(12) : new Uint8Array(12);
}

function makeConsole(folder: string): RingSubject {
  const ports = [{ name: "a" }, { name: "b", mode: "socket", path: `${folder}/b` }];
  const control = (id: number, event: number, value: number) => {
    const view = new DataView(new ArrayBuffer(8));
    view.setUint32(0, id, true);
    view.setUint16(4, event, true);
    view.setUint16(6, value, true);
    return new Uint8Array(view.buffer);
  };
  return {
    type: virtioConsole,
    config: { ports },
    request(queue, random) {
      if (queue % 2 === 0) return { write: [random.below(300), random.below(300)] };
      if (queue !== 3) return { read: [random.bytes(random.below(600))] };
      const id = random.pick([0, 1, 2, 0xffff_ffff]);
      return { read: [control(id, random.below(9), random.below(3))] };
    },
    proof: answersOn(3, { read: [control(0xffff_ffff, 0, 1)] }),
  };
}

function makeVsock(folder: string): RingSubject {
  const CID = 42;
  const packet = (random: RandomNumbers | undefined, length: number) => {
    const view = new DataView(new ArrayBuffer(44));
    const pick = (right: number, others: readonly number[]) =>
      random === undefined || random.below(4) > 0 ? right : random.pick(others);
    view.setUint32(0, pick(CID, [0, 1, 2, 2 ** 31]), true);
    view.setUint32(8, pick(2, [0, 1, CID, 99]), true);
    view.setUint32(16, pick(1024, [0, 1, 2 ** 32 - 1]), true);
    view.setUint32(20, pick(7, [0, 1024, 2 ** 32 - 1]), true);
    view.setUint32(24, pick(length, [0, 1, 2 ** 16, 2 ** 32 - 1]), true);
    view.setUint16(28, pick(1, [0, 2, 9]), true);
    view.setUint16(30, random === undefined ? 3 : random.below(9), true);
    view.setUint32(32, pick(0, [1, 2, 3, 2 ** 32 - 1]), true);
    view.setUint32(36, pick(0x4_0000, [0, 1, 2 ** 32 - 1]), true);
    view.setUint32(40, pick(0, [1, 2 ** 31, 2 ** 32 - 1]), true);
    return new Uint8Array(view.buffer);
  };
  return {
    type: vsock,
    config: { cid: CID, path: `${folder}/v` },
    request(queue, random) {
      if (queue !== 1) return { write: [44, random.below(PAGE)] };
      const length = random.below(500);
      return { read: [packet(random, length), random.bytes(length)] };
    },
    proof(vm) {
      vm.driver(0).add({ write: [PAGE] }); // for what is answered
      answersOn(1, { read: [packet(undefined, 0)] })(vm);
    },
  };
}

function makeShare(folder: string): RingSubject {
  Deno.mkdirSync(`${folder}/shared/d`, { recursive: true });
  Deno.writeTextFileSync(`${folder}/shared/file`, "text");
  Deno.symlinkSync("/etc", `${folder}/shared/out`);
  const message = (opcode: number, nodeid: number, body: Uint8Array): RequestParts["read"] => {
    const header = new DataView(new ArrayBuffer(40));
    header.setUint32(0, 40 + body.length, true);
    header.setUint32(4, opcode, true);
    header.setUint32(8, 77, true);
    header.setUint32(16, nodeid, true);
    return [new Uint8Array(header.buffer), body];
  };
  const text = new TextEncoder();
  const init = bytesOf(16, (i) => [7, 38, 0x2_0000, 0][i] ?? 0);
  return {
    type: share,
    config: { path: `${folder}/shared`, tag: "t" },
    request(queue, random) {
      const nodeid = random.pick([1, 1, 1, 2, 3, 0, 2 ** 32 - 1]);
      if (queue === 0) return { read: message(2, nodeid, random.bytes(8))! };
      const name = text.encode(`${random.pick(["file", "d", "out", "..", ".", "a/b", ""])}\0`);
      const body = random.pick([name, init, random.bytes(random.below(80)), new Uint8Array(16)]);
      const opcode = random.pick([1, 1, 3, 14, 15, 22, 26, 27, 28, random.below(60)]);
      return { read: message(opcode, nodeid, body)!, write: [16, random.below(PAGE)] };
    },
    proof: answersOn(1, { read: message(26, 0, init)!, write: [16, 200] }),
  };
}

/** Little-endian `le32`s. */
function bytesOf(count: number, word: (index: number) => number): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(4 * count));
  for (let i = 0; i < count; i++) view.setUint32(4 * i, word(i), true);
  return new Uint8Array(view.buffer);
}
