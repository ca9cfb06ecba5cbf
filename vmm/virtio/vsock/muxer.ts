/**
 * The I/O thread's side of a socket device: packets of the guest to connections, and connections to
 * packets for the guest (virtio 1.2 §5.10.6).
 *
 * The guest's packets are answered, if need be, through its rx queue. As long as that gives no buffers
 * the tx queue is not worked once some answers wait, so what waits is bounded (§5.10.6.1.1).
 *
 * @module
 */
import { HostError } from "../../../ffi/errors.ts";
import { SocketVectors } from "../../../ffi/stream_socket.ts";
import { connectUnixSocket } from "../../../ffi/unix_socket.ts";
import type { IoLoop, IoTimer } from "../../io_loop.ts";
import { type Chain, ProtocolError, type VirtioContext, type Virtqueue } from "../virtio_device.ts";
import { Connection, ConnectionState } from "./connection.ts";
import { ConnectionTable, MOST_CONNECTIONS } from "./connection_table.ts";
import { type ClientReceiver, HostClients } from "./host_clients.ts";
import { HEADER_BYTES, HOST_CID, Op, PacketHeader, SocketType } from "./packet.ts";
import { RxFeed } from "./rx_feed.ts";
import type { VsockRegisters } from "./state.ts";

/** The device's queues (§5.10.2). */
export const Queue = { RX: 0, TX: 1, EVENT: 2 } as const;

const TRANSPORT_RESET = 0;
/** Packets of the guest in one turn, before other devices have theirs. */
const BATCH = 256;
/** How long the guest may take to accept, or to confirm the end of a connection. */
const ANSWER_MS = 30_000;

/** What the muxer is told of its device. */
export interface MuxerConfig {
  /** The guest's context ID. */
  readonly cid: number;
  /** Where guests' connections go: `path_PORT`. */
  readonly path: string;
  /** The listening socket at `path`. */
  readonly listener: number;
}

/** Between the queues and the host's sockets. */
export class Muxer implements ClientReceiver {
  readonly #config: MuxerConfig;
  readonly #context: VirtioContext;
  readonly #state: VsockRegisters;
  readonly #loop: IoLoop;
  readonly #tx: Virtqueue;
  readonly #table = new ConnectionTable();
  readonly #rx: RxFeed;
  readonly #clients: HostClients;
  readonly #timer: IoTimer;
  readonly #vectors = new SocketVectors();
  readonly #header = new PacketHeader();
  #generation: number;
  #continues = false;

  /**
   * @param config Its device's configuration
   * @param context What its device is given
   * @param state Its device's state
   * @param loop The thread's loop
   */
  constructor(config: MuxerConfig, context: VirtioContext, state: VsockRegisters, loop: IoLoop) {
    this.#config = config;
    this.#context = context;
    this.#state = state;
    this.#loop = loop;
    this.#rx = new RxFeed(
      context.queues[Queue.RX]!,
      config.cid,
      this.#table,
      state,
      (connection) => this.#wait(connection),
    );
    this.#tx = context.queues[Queue.TX]!;
    this.#generation = state.generation;
    this.#timer = loop.timer(() => this.#expire());
    this.#clients = new HostClients(config.listener, loop, this);
  }

  get room(): number {
    return MOST_CONNECTIONS - this.#table.size - this.#clients.size;
  }

  monotonic(): number {
    return this.#context.monotonic();
  }

  request(fd: number, port: number): void {
    const connection = new Connection(
      this.#table.freeHostPort(port),
      port,
      fd,
      false,
      this.#loop,
      this.#vectors,
    );
    if (!this.#open(connection)) return;
    this.#wait(connection);
    this.#table.line(connection);
    this.work();
  }

  /** Does what there is to do: after a notification, a wake, or an edge of a socket. */
  work(): void {
    this.#notice();
    this.#tellTransportReset();
    const moreTx = this.#serveTx();
    const moreRx = this.#rx.serve();
    // With the RSTs on their way the tx queue may go on.
    const freed = moreTx === "stalled" && !this.#rx.full;
    if ((moreTx === "more" || moreRx || freed) && !this.#continues) {
      this.#continues = true;
      this.#loop.later(() => {
        this.#continues = false;
        this.work();
      });
    }
  }

  /** Closes everything. */
  close(): void {
    this.#clients.close();
    for (const connection of this.#table.all()) this.#table.remove(connection);
    this.#state.connections = 0;
    this.#timer.at(Infinity);
  }

  /** After a reset the guest knows of no connection; who it was not told of yet goes on waiting. */
  #notice(): void {
    if (this.#generation === this.#state.generation) return;
    this.#generation = this.#state.generation;
    this.#rx.clear();
    for (const connection of this.#table.all()) {
      if (connection.state === ConnectionState.DRAINING || connection.unannounced) continue;
      this.#remove(connection);
    }
  }

  #tellTransportReset(): void {
    if (this.#state.transport_reset === 0) return;
    const queue = this.#context.queues[Queue.EVENT]!;
    const chain = queue.pop();
    if (chain === undefined) return; // it is told once there is a buffer for it
    chain.writeU32(0, TRANSPORT_RESET);
    queue.push(chain, 4);
    queue.signal();
    this.#state.transport_reset = 0;
  }

  /** Works the guest's packets. */
  #serveTx(): "more" | "stalled" | "idle" {
    const queue = this.#tx;
    queue.disableNotifications();
    let left = BATCH;
    let outcome: "more" | "stalled" | "idle" = "more";
    while (left-- > 0) {
      if (this.#rx.full) {
        outcome = "stalled";
        break;
      }
      const chain = queue.pop();
      if (chain !== undefined) {
        this.#take(chain);
        queue.push(chain, 0);
      } else if (!queue.enableNotifications()) {
        outcome = "idle";
        break;
      }
    }
    queue.signal();
    return outcome;
  }

  #take(chain: Chain): void {
    const header = this.#header;
    if (!header.read(chain)) {
      throw new ProtocolError(`A packet of ${chain.readable} bytes has no header`);
    }
    this.#state.sent_packets++;
    if (header.srcCid !== this.#config.cid) {
      this.#state.misaddressed++;
      return;
    }
    if (header.dstCid !== HOST_CID || header.type !== SocketType.STREAM) return this.#refuse();
    const connection = this.#table.find(header.dstPort, header.srcPort);
    if (connection === undefined) {
      if (header.op === Op.REQUEST) this.#connect();
      else this.#refuse();
      return;
    }
    connection.takeCredit(header);
    if (this.#dispatch(connection, chain)) this.#table.line(connection);
    else this.#abort(connection);
  }

  /**
   * A packet for a connection.
   *
   * @returns Whether it made sense
   */
  #dispatch(connection: Connection, chain: Chain): boolean {
    const header = this.#header;
    const established = connection.state !== ConnectionState.REQUESTED;
    switch (header.op) {
      case Op.RESPONSE:
        if (established || connection.unannounced) return false;
        this.#table.answered(connection);
        this.#state.by_host++;
        return connection.accepted();
      case Op.RST:
        this.#remove(connection);
        return true;
      case Op.RW:
        if (!established || !this.#maySendData(connection, chain)) return false;
        connection.toHost(chain, header.len);
        this.#state.sent_bytes += header.len;
        return true;
      case Op.SHUTDOWN:
        if (!established) return false;
        if (connection.guestShuts(header.flags)) this.#closedByGuest(connection);
        return true;
      case Op.CREDIT_UPDATE:
        return established;
      case Op.CREDIT_REQUEST:
        connection.owesCredit();
        return established;
      default: // REQUEST for what is there already, and operations that there aren't
        return false;
    }
  }

  /** More than the credit, more than there is, or after its own end: no sender that works does this. */
  #maySendData(connection: Connection, chain: Chain): boolean {
    const { len } = this.#header;
    return len <= connection.granted && len <= chain.readable - HEADER_BYTES &&
      !connection.guestSendsNoMore;
  }

  /** The guest asks for a port of the host. */
  #connect(): void {
    const { srcPort, dstPort } = this.#header;
    const fd = this.room > 0 ? this.#dial(dstPort) : undefined;
    if (fd === undefined) return this.#refuse();
    const connection = new Connection(dstPort, srcPort, fd, true, this.#loop, this.#vectors);
    if (!this.#open(connection)) return this.#refuse();
    this.#state.by_guest++;
    connection.takeCredit(this.#header);
    this.#table.line(connection);
  }

  #dial(port: number): number | undefined {
    try {
      return connectUnixSocket(`${this.#config.path}_${port}`);
    } catch (error) {
      if (error instanceof HostError) return undefined; // nobody is there, or too many are
      throw error;
    }
  }

  #open(connection: Connection): boolean {
    this.#table.add(connection);
    this.#state.connections = this.#table.size;
    try {
      connection.watch((events) => {
        connection.hostReady(events);
        this.#afterEdge(connection);
        this.work();
      });
    } catch (error) {
      this.#remove(connection);
      if (error instanceof HostError) return false;
      throw error;
    }
    return true;
  }

  #afterEdge(connection: Connection): void {
    switch (connection.state) {
      case ConnectionState.REQUESTED:
        if (!connection.hungUp) break;
        if (connection.unannounced) this.#remove(connection);
        else this.#abort(connection);
        break;
      case ConnectionState.DRAINING:
        if (connection.finished) this.#remove(connection);
        break;
      default:
        this.#table.line(connection);
    }
  }

  /** What the guest has sent still reaches the host, but it need not wait for that. */
  #closedByGuest(connection: Connection): void {
    this.#reset(connection);
    if (connection.finished) this.#remove(connection);
    else this.#table.drain(connection);
  }

  /** Answers the packet at hand with RST; an RST is never answered. */
  #refuse(): void {
    const { op, dstCid, dstPort, srcPort, type } = this.#header;
    if (op === Op.RST) return;
    this.#state.refused++;
    this.#rx.reset(dstCid, dstPort, srcPort, type);
  }

  #abort(connection: Connection): void {
    this.#state.refused++;
    this.#reset(connection);
    this.#remove(connection);
  }

  #reset({ hostPort, guestPort }: Connection): void {
    this.#rx.reset(HOST_CID, hostPort, guestPort, SocketType.STREAM);
  }

  #remove(connection: Connection): void {
    this.#table.remove(connection);
    this.#state.connections = this.#table.size;
    this.#clients.resume();
  }

  #wait(connection: Connection): void {
    this.#table.wait(connection, this.monotonic() + ANSWER_MS);
    this.#timer.at(this.#table.deadline);
  }

  #expire(): void {
    for (const connection of this.#table.late(this.monotonic())) {
      if (connection.unannounced) this.#remove(connection);
      else this.#abort(connection);
    }
    this.#timer.at(this.#table.deadline);
    this.work();
  }
}
