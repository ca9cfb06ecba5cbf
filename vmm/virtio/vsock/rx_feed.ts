/**
 * What a socket device has to say to its guest, into the buffers of the rx queue: first the RSTs, then
 * a packet of each connection in turn.
 *
 * @module
 */
import { type Chain, ProtocolError, type Virtqueue } from "../virtio_device.ts";
import { type Connection, ConnectionState } from "./connection.ts";
import type { ConnectionTable } from "./connection_table.ts";
import { HEADER_BYTES, HOST_CID, Op, PacketHeader, ShutdownFlag, SocketType } from "./packet.ts";
import type { VsockRegisters } from "./state.ts";

/** Packets in one turn, before other devices have theirs. */
const BATCH = 256;
/** RSTs that may wait for a buffer before the tx queue has to. */
const MOST_RESETS = 256;

/** An RST that waits for a buffer. */
interface Reset {
  readonly cid: number;
  readonly hostPort: number;
  readonly guestPort: number;
  readonly type: number;
}

/** Fills the rx queue's buffers. */
export class RxFeed {
  readonly #queue: Virtqueue;
  readonly #cid: number;
  readonly #table: ConnectionTable;
  readonly #state: VsockRegisters;
  readonly #ended: (connection: Connection) => void;
  readonly #header = new PacketHeader();
  readonly #resets: Reset[] = [];

  /**
   * @param queue The rx queue
   * @param cid The guest's context ID
   * @param table Whose connections' packets
   * @param state Where to count
   * @param ended Told when a connection's guest has learnt that nobody is left on the host
   */
  constructor(
    queue: Virtqueue,
    cid: number,
    table: ConnectionTable,
    state: VsockRegisters,
    ended: (connection: Connection) => void,
  ) {
    this.#queue = queue;
    this.#cid = cid;
    this.#table = table;
    this.#state = state;
    this.#ended = ended;
  }

  /** Whether so many RSTs wait that nothing should be taken that may need one more. */
  get full(): boolean {
    return this.#resets.length >= MOST_RESETS;
  }

  /**
   * Has the guest told that a connection is no more, or never was.
   *
   * @param cid Whom the guest takes it to be with
   * @param hostPort The port there
   * @param guestPort The guest's own
   * @param type The kind of socket
   */
  reset(cid: number, hostPort: number, guestPort: number, type: number): void {
    this.#resets.push({ cid, hostPort, guestPort, type });
  }

  /** Forgets the RSTs. */
  clear(): void {
    this.#resets.length = 0;
  }

  /**
   * Fills buffers.
   *
   * @returns Whether there is more to say and there are buffers for it
   */
  serve(): boolean {
    if (!this.#waits) return false;
    const queue = this.#queue;
    queue.disableNotifications();
    let left = BATCH;
    let starved = false;
    while (left-- > 0 && this.#waits) {
      const chain = queue.pop();
      if (chain !== undefined) {
        this.#fill(chain);
      } else if (!queue.enableNotifications()) {
        starved = true;
        break;
      }
    }
    queue.signal();
    return !starved && this.#waits;
  }

  get #waits(): boolean {
    return this.#resets.length > 0 || this.#table.lined;
  }

  /** Fills a buffer with the next packet, or puts it back. */
  #fill(chain: Chain): void {
    if (chain.writable <= HEADER_BYTES) {
      throw new ProtocolError(`A receive buffer of ${chain.writable} bytes has no room for data`);
    }
    const header = this.#header;
    const reset = this.#resets.shift();
    if (reset !== undefined) {
      header.op = Op.RST;
      header.len =
        header.flags =
        header.bufAlloc =
        header.fwdCnt =
          0;
      return this.#send(chain, reset.cid, reset.hostPort, reset.guestPort, reset.type);
    }
    for (;;) {
      const connection = this.#table.takeFirst();
      if (connection === undefined) return this.#queue.unpop(chain);
      if (connection.state >= ConnectionState.DRAINING || !connection.fill(chain, header)) continue;
      this.#send(chain, HOST_CID, connection.hostPort, connection.guestPort, SocketType.STREAM);
      if (header.op === Op.SHUTDOWN && header.flags === ShutdownFlag.BOTH) this.#ended(connection);
      this.#table.line(connection);
      return;
    }
  }

  #send(chain: Chain, cid: number, hostPort: number, guestPort: number, type: number): void {
    const header = this.#header;
    header.srcCid = cid;
    header.dstCid = this.#cid;
    header.srcPort = hostPort;
    header.dstPort = guestPort;
    header.type = type;
    header.write(chain);
    this.#queue.push(chain, HEADER_BYTES + header.len);
    this.#state.received_packets++;
    this.#state.received_bytes += header.len;
  }
}
