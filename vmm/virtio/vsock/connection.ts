/**
 * One connection between a port of the guest and a unix socket of the host: its credit both ways, what
 * waits on the way to the host, and who has closed what (virtio 1.2 §5.10.6.3, §5.10.6.4).
 *
 * The socket is watched edge-triggered, so that the data path makes no epoll_ctl: what an edge said
 * holds until the kernel says EAGAIN.
 *
 * @module
 */
import { EpollEvent } from "../../../ffi/epoll.ts";
import { Errno } from "../../../ffi/errno.ts";
import { closeFile } from "../../../ffi/files.ts";
import {
  sendBytes,
  Shutdown,
  shutdownSocket,
  type SocketVectors,
} from "../../../ffi/stream_socket.ts";
import type { IoLoop } from "../../io_loop.ts";
import type { Chain } from "../virtio_device.ts";
import { BUF_ALLOC, Credit } from "./credit.ts";
import { HEADER_BYTES, Op, type PacketHeader, ShutdownFlag } from "./packet.ts";
import { SendBuffer } from "./send_buffer.ts";

/** Linux's own limit of a packet (VIRTIO_VSOCK_MAX_PKT_BUF_SIZE). */
const MOST_DATA = 65536;

const EDGES = EpollEvent.IN | EpollEvent.EDGE;
const EDGES_AND_ROOM = EDGES | EpollEvent.OUT;
const encoder = new TextEncoder();

/** Where a connection stands. */
export const ConnectionState = {
  /** The guest has been asked, or will be as soon as it has a buffer for the packet. */
  REQUESTED: 0,
  ESTABLISHED: 1,
  /** Nobody is left on the host; the guest has been told and answers with RST. */
  CLOSING: 2,
  /** The guest has closed it and forgotten it; the host's socket still gets what waits. */
  DRAINING: 3,
  GONE: 4,
} as const;

/** What there is to tell the guest, a bit each. */
const Pending = { REQUEST: 1, RESPONSE: 2, SHUTDOWN: 4, CREDIT_UPDATE: 8 } as const;

/** A connection. */
export class Connection {
  /** The next in the line of those that have something for the guest. */
  next: Connection | undefined = undefined;
  /** Whether it stands in that line. */
  inLine = false;
  /** When it is given up, on the monotonic clock; of account only while it waits for the guest. */
  deadline = Infinity;
  state: number;
  #pending: number;
  readonly #fd: number;
  readonly #loop: IoLoop;
  readonly #vectors: SocketVectors;
  #buffer: SendBuffer | undefined;
  #open = true;
  #readable = true;
  #hungUp = false;
  /** {@linkcode ShutdownFlag}s that the guest has sent, and those that it is told. */
  #guestShutdown = 0;
  #hostShutdown = 0;
  readonly #credit = new Credit();
  #creditAsked = false;

  /**
   * @param hostPort The port on the host's side
   * @param guestPort The port on the guest's side
   * @param fd The host's socket, non-blocking; closed by this
   * @param byGuest Whether the guest has asked for it; it is established then
   * @param loop Watches the socket
   * @param vectors Scratch, shared by all
   */
  constructor(
    readonly hostPort: number,
    readonly guestPort: number,
    fd: number,
    byGuest: boolean,
    loop: IoLoop,
    vectors: SocketVectors,
  ) {
    this.#fd = fd;
    this.#loop = loop;
    this.#vectors = vectors;
    this.state = byGuest ? ConnectionState.ESTABLISHED : ConnectionState.REQUESTED;
    this.#pending = byGuest ? Pending.RESPONSE : Pending.REQUEST;
  }

  /**
   * Has edges of the socket told.
   *
   * @param ready Gets the events
   * @throws {HostError} If it cannot be watched
   */
  watch(ready: (events: number) => void): void {
    this.#loop.watch(this.#fd, EDGES, ready);
  }

  /** Whether the guest knows nothing of it yet. */
  get unannounced(): boolean {
    return (this.#pending & Pending.REQUEST) !== 0;
  }

  /** Whether nobody is on the host's end any more. */
  get hungUp(): boolean {
    return this.#hungUp;
  }

  /** Bytes that the guest may send now. */
  get granted(): number {
    return this.#credit.granted;
  }

  /** Whether the guest has said that it sends no more. */
  get guestSendsNoMore(): boolean {
    return (this.#guestShutdown & ShutdownFlag.SEND) !== 0;
  }

  /** Whether there is something for the guest that can be said now. */
  get hasPacket(): boolean {
    if (this.#pending !== 0) return true;
    return this.#reads && (this.#credit.room > 0 || !this.#creditAsked);
  }

  /** Takes what each packet of the guest says of its own buffer. */
  takeCredit(header: PacketHeader): void {
    this.#credit.take(header);
    // Asked again while it has none, a guest that doesn't read would answer for ever.
    if (this.#credit.room > 0) this.#creditAsked = false;
  }

  /** The guest asks how much it may send. */
  owesCredit(): void {
    this.#pending |= Pending.CREDIT_UPDATE;
  }

  /**
   * The guest has accepted: its client on the host is told.
   *
   * @returns Whether the client is still there
   */
  accepted(): boolean {
    this.state = ConnectionState.ESTABLISHED;
    const line = encoder.encode(`OK ${this.hostPort}\n`);
    return sendBytes(this.#fd, line) === line.length; // a fresh socket's buffer holds it
  }

  /**
   * Passes data on to the host's socket; what that doesn't take waits. The caller has seen to it that
   * the guest had the credit.
   *
   * @param chain The packet
   * @param length Bytes of data behind the header
   */
  toHost(chain: Chain, length: number): void {
    this.#credit.receive(length);
    if (!this.#open || (this.#hostShutdown & ShutdownFlag.RECEIVE) !== 0) {
      return this.#forward(length); // nobody reads it
    }
    let done = 0;
    while (done < length && (this.#buffer === undefined || this.#buffer.length === 0)) {
      const { iovecs } = this.#vectors;
      const count = chain.readableIovecs(HEADER_BYTES + done, length - done, iovecs);
      const sent = this.#vectors.send(this.#fd, count);
      if (sent === -Errno.EAGAIN) break;
      if (sent < 0) {
        this.#forward(length);
        return this.#hostShuts(ShutdownFlag.RECEIVE);
      }
      done += sent;
    }
    this.#forward(done);
    if (done === length) return;
    this.#buffer ??= new SendBuffer(BUF_ALLOC);
    if (this.#buffer.length === 0) this.#loop.change(this.#fd, EDGES_AND_ROOM);
    this.#buffer.append(chain, HEADER_BYTES + done, length - done);
  }

  /**
   * Takes what epoll says of the socket.
   *
   * @param events {@linkcode EpollEvent}s
   */
  hostReady(events: number): void {
    if ((events & (EpollEvent.IN | EpollEvent.HUP | EpollEvent.ERR)) !== 0) this.#readable = true;
    if ((events & (EpollEvent.HUP | EpollEvent.ERR)) !== 0) this.#hungUp = true;
    if ((events & EpollEvent.OUT) !== 0) this.#flush();
    this.#noticeHangUp();
  }

  /**
   * The guest closes one direction or both.
   *
   * @param flags {@linkcode ShutdownFlag}s
   * @returns Whether it has now closed both
   */
  guestShuts(flags: number): boolean {
    this.#guestShutdown |= flags & ShutdownFlag.BOTH;
    if (!this.#open) return this.#guestShutdown === ShutdownFlag.BOTH;
    if (this.#guestTakesNoMore) shutdownSocket(this.#fd, Shutdown.RD);
    if (this.guestSendsNoMore && this.#drained) shutdownSocket(this.#fd, Shutdown.WR);
    this.#noticeHangUp();
    return this.#guestShutdown === ShutdownFlag.BOTH;
  }

  /** Whether nothing waits for the host's socket any more, or there is none. */
  get #drained(): boolean {
    return this.#buffer === undefined || this.#buffer.length === 0;
  }

  /** Whether there is nothing left to do for the host's side. */
  get finished(): boolean {
    return !this.#open || this.#hungUp || this.#drained ||
      (this.#hostShutdown & ShutdownFlag.RECEIVE) !== 0;
  }

  /**
   * Says the next thing to the guest.
   *
   * @param chain A chain of the rx queue, longer than a header
   * @param header Its operation, flags, length and credit are set; the addresses are the caller's work
   * @returns Whether there was anything
   */
  fill(chain: Chain, header: PacketHeader): boolean {
    header.op = 0;
    header.len = 0;
    header.flags = 0;
    if ((this.#pending & Pending.REQUEST) !== 0) {
      this.#pending &= ~Pending.REQUEST;
      header.op = Op.REQUEST;
    } else if ((this.#pending & Pending.RESPONSE) !== 0) {
      this.#pending &= ~Pending.RESPONSE;
      header.op = Op.RESPONSE;
    } else if (this.#reads) {
      if (this.#credit.room > 0) this.#receive(chain, header);
      else this.#askForCredit(header);
    }
    if (header.op === 0) this.#fillWithoutData(header);
    if (header.op === 0) return false;
    this.#pending &= ~Pending.CREDIT_UPDATE; // every packet says it
    this.#credit.tell(header);
    return true;
  }

  /** Closes the host's socket. */
  close(): void {
    this.state = ConnectionState.GONE;
    this.#closeSocket();
  }

  get #guestTakesNoMore(): boolean {
    return (this.#guestShutdown & ShutdownFlag.RECEIVE) !== 0;
  }

  /** Whether the host's socket may have something that the guest wants. */
  get #reads(): boolean {
    return this.#readable && this.state === ConnectionState.ESTABLISHED &&
      !this.#guestTakesNoMore && (this.#hostShutdown & ShutdownFlag.SEND) === 0;
  }

  /** Nobody is left on the host; but what was sent from there is still read, if the guest wants it. */
  #noticeHangUp(): void {
    if (!this.#hungUp || this.state !== ConnectionState.ESTABLISHED) return;
    const unread = (this.#hostShutdown & ShutdownFlag.SEND) === 0 && !this.#guestTakesNoMore;
    if (!unread) this.#hostShuts(ShutdownFlag.BOTH);
  }

  #receive(chain: Chain, header: PacketHeader): void {
    const most = Math.min(this.#credit.room, MOST_DATA);
    const count = chain.writableIovecs(HEADER_BYTES, most, this.#vectors.iovecs);
    const got = this.#vectors.receive(this.#fd, count);
    if (got > 0) {
      header.op = Op.RW;
      header.len = got;
      this.#credit.send(got);
      return;
    }
    if (got === -Errno.EINTR) return;
    this.#readable = false;
    if (got === -Errno.EAGAIN) return;
    if (got < 0) this.#hungUp = true;
    this.#hostShuts(this.#hungUp ? ShutdownFlag.BOTH : ShutdownFlag.SEND);
  }

  #askForCredit(header: PacketHeader): void {
    if (this.#creditAsked) return;
    this.#creditAsked = true;
    header.op = Op.CREDIT_REQUEST;
  }

  #fillWithoutData(header: PacketHeader): void {
    if ((this.#pending & Pending.SHUTDOWN) !== 0) {
      this.#pending &= ~Pending.SHUTDOWN;
      header.op = Op.SHUTDOWN;
      header.flags = this.#hostShutdown;
    } else if ((this.#pending & Pending.CREDIT_UPDATE) !== 0) {
      header.op = Op.CREDIT_UPDATE;
    }
  }

  /** Counts bytes that the host has taken, and has the guest told before it runs out of credit. */
  #forward(length: number): void {
    this.#credit.forward(length);
    if (this.#credit.dwindles) this.#pending |= Pending.CREDIT_UPDATE;
  }

  #flush(): void {
    if (!this.#open || this.#buffer === undefined || this.#buffer.length === 0) return;
    const sent = this.#buffer.flush(this.#fd, this.#vectors);
    if (sent < 0) {
      this.#forward(this.#buffer.length);
      this.#buffer = undefined;
      return this.#hostShuts(ShutdownFlag.RECEIVE);
    }
    this.#forward(sent);
    if (this.#buffer.length > 0) return;
    this.#buffer = undefined; // an idle connection keeps no memory
    this.#loop.change(this.#fd, EDGES);
    if (this.guestSendsNoMore) shutdownSocket(this.#fd, Shutdown.WR);
  }

  /** The host does something no more; with both the socket is of no use. */
  #hostShuts(flags: number): void {
    if ((this.#hostShutdown | flags) === this.#hostShutdown) return;
    this.#hostShutdown |= flags;
    if (this.state !== ConnectionState.ESTABLISHED) return;
    this.#pending |= Pending.SHUTDOWN;
    if (this.#hostShutdown !== ShutdownFlag.BOTH) return;
    this.state = ConnectionState.CLOSING;
    this.#closeSocket();
  }

  #closeSocket(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#buffer = undefined;
    this.#loop.unwatch(this.#fd);
    closeFile(this.#fd);
  }
}
