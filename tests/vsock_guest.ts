/**
 * A guest that speaks the packets of a virtio socket device, for tests: what it sends is what the test
 * says, right or wrong.
 *
 * @module
 */
import type { UsedRequest } from "./virtio_driver.ts";
import type { VirtioMachine } from "./virtio_machine.ts";

/** Bytes of a header (virtio 1.2 §5.10.6). */
const HEADER = 44;

/** A packet; what a test leaves out is as a driver that works has it. */
export interface VsockPacket {
  srcCid: number;
  dstCid: number;
  srcPort: number;
  dstPort: number;
  len: number;
  type: number;
  op: number;
  flags: number;
  bufAlloc: number;
  fwdCnt: number;
  data: Uint8Array<ArrayBuffer>;
}

/** The guest's driver. */
export class VsockGuest {
  readonly #machine: VirtioMachine;
  readonly #cid: number;
  readonly #bufferSize: number;

  /**
   * @param machine The machine, its driver started
   * @param cid The guest's CID
   * @param buffers How many receive buffers it lends
   * @param bufferSize Bytes of each
   */
  constructor(machine: VirtioMachine, cid: number, buffers = 16, bufferSize = HEADER + 4096) {
    this.#machine = machine;
    this.#cid = cid;
    this.#bufferSize = bufferSize;
    this.lend(buffers);
  }

  /** Lends receive buffers. */
  lend(count: number): void {
    for (let i = 0; i < count; i++) this.#machine.driver(0).add({ write: [this.#bufferSize] });
    if (count > 0) this.#turn(0);
  }

  /** Sends a packet, and tells nobody yet. */
  queue(packet: Partial<VsockPacket>): void {
    const { data = new Uint8Array(0) } = packet;
    const bytes = new Uint8Array(HEADER + data.length);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, BigInt(packet.srcCid ?? this.#cid), true);
    view.setBigUint64(8, BigInt(packet.dstCid ?? 2), true);
    view.setUint32(16, packet.srcPort ?? 0, true);
    view.setUint32(20, packet.dstPort ?? 0, true);
    view.setUint32(24, packet.len ?? data.length, true);
    view.setUint16(28, packet.type ?? 1, true);
    view.setUint16(30, packet.op ?? 0, true);
    view.setUint32(32, packet.flags ?? 0, true);
    view.setUint32(36, packet.bufAlloc ?? 0x1_0000, true);
    view.setUint32(40, packet.fwdCnt ?? 0, true);
    bytes.set(data, HEADER);
    this.#machine.driver(1).add({ read: [bytes] });
  }

  /** Sends a packet. */
  send(packet: Partial<VsockPacket>): void {
    this.queue(packet);
    this.flush();
  }

  /** Has the device take what was queued. */
  flush(): void {
    this.#turn(1);
    this.#machine.driver(1).collect();
  }

  /**
   * Takes what has come.
   *
   * @param again Whether to lend the buffers anew
   */
  receive(again = true): VsockPacket[] {
    this.#machine.poll();
    const used = this.#machine.driver(0).collect();
    const packets = used.map(readPacket);
    if (again) this.lend(used.length);
    return packets;
  }

  #turn(queue: number): void {
    this.#machine.kick(queue);
    this.#machine.poll();
  }
}

function readPacket({ request, written }: UsedRequest): VsockPacket {
  const bytes = request.written(0);
  const view = new DataView(bytes.buffer);
  const len = view.getUint32(24, true);
  if (written !== HEADER + len) throw new Error(`A packet of ${len} bytes has ${written} in all`);
  return {
    srcCid: Number(view.getBigUint64(0, true)),
    dstCid: Number(view.getBigUint64(8, true)),
    srcPort: view.getUint32(16, true),
    dstPort: view.getUint32(20, true),
    len,
    type: view.getUint16(28, true),
    op: view.getUint16(30, true),
    flags: view.getUint32(32, true),
    bufAlloc: view.getUint32(36, true),
    fwdCnt: view.getUint32(40, true),
    data: bytes.slice(HEADER, HEADER + len),
  };
}
