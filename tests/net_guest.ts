/**
 * A guest with a network card, for tests: its driver, and as much of a network stack as it takes to
 * talk with what stands behind the card.
 *
 * @module
 */
import { arpReply, arpRequest } from "../vmm/backends/net/arp.ts";
import { UserNetwork } from "../vmm/backends/net/user_network.ts";
import {
  type Ends,
  type Packet,
  parsePacket,
  Protocol,
  TcpFlag,
  tcpFrame,
  udpFrame,
} from "./net_packets.ts";
import type { VirtioMachine } from "./virtio_machine.ts";

/** Bytes of the header before each frame. */
export const HEADER = 12;

/** A frame that came, with its header. */
export interface ReceivedFrame {
  readonly header: Uint8Array<ArrayBuffer>;
  readonly frame: Uint8Array<ArrayBuffer>;
}

/** The guest's driver of the first queue pair. */
export class NetGuest {
  /** Frames that came and that nobody has taken. */
  readonly received: ReceivedFrame[] = [];
  readonly mac: Uint8Array<ArrayBuffer>;
  readonly #vm: VirtioMachine;
  readonly #bufferSize: number;
  #hostMac = new Uint8Array(6);

  /**
   * @param vm The machine, its driver started
   * @param buffers How many receive buffers it lends, and lends again
   * @param bufferSize Bytes of each
   */
  constructor(vm: VirtioMachine, buffers = 64, bufferSize = HEADER + 1514) {
    this.#vm = vm;
    this.#bufferSize = bufferSize;
    this.mac = Uint8Array.from({ length: 6 }, (_, i) => vm.registers.readConfig(i, 1));
    this.lend(buffers);
  }

  /** Lends receive buffers. */
  lend(count: number): void {
    for (let i = 0; i < count; i++) this.#vm.driver(0).add({ write: [this.#bufferSize] });
    if (count > 0) this.#vm.kick(0);
  }

  /**
   * Sends a frame.
   *
   * @param frame The frame
   * @param header Its header; that of a finished frame if left out
   */
  send(frame: Uint8Array, header: Uint8Array = new Uint8Array(HEADER)): void {
    this.sendRaw([header, frame]);
  }

  /** Sends any pieces, and takes back those that the device is done with. */
  sendRaw(pieces: readonly Uint8Array[]): void {
    this.#vm.driver(1).collect();
    this.#vm.driver(1).add({ read: pieces });
    this.#vm.kick(1);
    this.#vm.poll();
  }

  /** Takes what came. */
  collect(): void {
    this.#vm.poll();
    const used = this.#vm.driver(0).collect();
    for (let i = 0; i < used.length;) {
      const { request, written } = used[i]!;
      const bytes = request.written();
      const count = new DataView(bytes.buffer).getUint16(10, true);
      const parts = [bytes.subarray(0, written)];
      for (let part = 1; part < count; part++) {
        const more = used[i + part]!;
        parts.push(more.request.written().subarray(0, more.written));
      }
      i += Math.max(1, count);
      const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
      parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
      this.received.push({ header: whole.slice(0, HEADER), frame: whole.slice(HEADER) });
    }
    this.lend(used.length);
  }

  /**
   * Waits for a frame, and drops those before it.
   *
   * @param find What to make of the frame that is waited for; undefined for another one
   */
  async next<T>(find: (frame: Uint8Array<ArrayBuffer>) => T | undefined): Promise<T> {
    let found: T | undefined;
    await this.#vm.until(() => {
      this.collect();
      while (found === undefined && this.received.length > 0) {
        found = find(this.received.shift()!.frame);
      }
      return found !== undefined;
    });
    return found!;
  }

  /** Finds out the router's MAC address by ARP. */
  async findHost(): Promise<Uint8Array> {
    this.send(arpRequest(this.mac, UserNetwork.GUEST, UserNetwork.HOST));
    this.#hostMac = (await this.next((frame) => arpReply(frame, UserNetwork.HOST))).slice();
    return this.#hostMac;
  }

  /** The two ends of what the guest sends to the host. */
  toHost(sourcePort: number, targetPort: number): Ends {
    return {
      sourceMac: this.mac,
      targetMac: this.#hostMac,
      source: UserNetwork.GUEST,
      target: UserNetwork.HOST,
      sourcePort,
      targetPort,
    };
  }

  /** Sends UDP data to a port of the host, and gives what comes back. */
  async askByUdp(port: number, data: Uint8Array): Promise<Uint8Array> {
    this.send(udpFrame(this.toHost(4000, port), data));
    return await this.next((frame) => {
      const packet = parsePacket(frame);
      return packet?.protocol === Protocol.UDP && packet.targetPort === 4000
        ? packet.data
        : undefined;
    });
  }

  /**
   * Serves one TCP connection: takes what comes and answers with the same, until the client ends it.
   *
   * @param port The guest's port
   * @returns All that came
   */
  async echoByTcp(port: number): Promise<Uint8Array> {
    const came: number[] = [];
    let sequence = 1000;
    for (;;) {
      const packet = await this.next((frame) => {
        const tcp = parsePacket(frame);
        return tcp?.protocol === Protocol.TCP && tcp.targetPort === port ? tcp : undefined;
      });
      const { flags } = packet.tcp;
      const ends = answerEnds(packet);
      const length = packet.data.length + ((flags & (TcpFlag.SYN | TcpFlag.FIN)) === 0 ? 0 : 1);
      const acknowledged = packet.tcp.sequence + length;
      if ((flags & TcpFlag.SYN) !== 0) {
        this.send(tcpFrame(ends, { sequence, acknowledged, flags: TcpFlag.SYN | TcpFlag.ACK }));
        sequence++;
      } else if (packet.data.length > 0) {
        came.push(...packet.data);
        this.send(
          tcpFrame(ends, { sequence, acknowledged, flags: TcpFlag.PSH | TcpFlag.ACK }, packet.data),
        );
        sequence += packet.data.length;
      }
      if ((flags & TcpFlag.FIN) !== 0) {
        this.send(tcpFrame(ends, { sequence, acknowledged, flags: TcpFlag.FIN | TcpFlag.ACK }));
        return Uint8Array.from(came);
      }
      if ((flags & TcpFlag.RST) !== 0) return Uint8Array.from(came);
    }
  }
}

function answerEnds(packet: Packet): Ends {
  return {
    sourceMac: packet.targetMac,
    targetMac: packet.sourceMac,
    source: packet.target,
    target: packet.source,
    sourcePort: packet.targetPort,
    targetPort: packet.sourcePort,
  };
}
