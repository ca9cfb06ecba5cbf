/**
 * The stream backend: frames over a unix stream socket, as passt and QEMU's `-netdev stream` speak
 * them:
 *
 *     +--------------------+----------------+
 *     | length, big-endian | Ethernet frame | …
 *     |        u32         |  length bytes  |
 *     +--------------------+----------------+
 *
 * @module
 */
import { addressOf } from "../../../ffi/address_of.ts";
import { Errno } from "../../../ffi/errno.ts";
import { EpollEvent } from "../../../ffi/epoll.ts";
import { receiveBytes, SocketVectors } from "../../../ffi/stream_socket.ts";
import type { IoLoop } from "../../io_loop.ts";
import type { Chain } from "../../virtio/virtio_device.ts";
import { FrameIovecs, setIovec } from "./frame_iovecs.ts";
import { FrameSplitter } from "./frame_splitter.ts";
import {
  type BackendOwner,
  HEADER_BYTES,
  MAX_FRAME,
  type NetBackend,
  type ReceiveTarget,
  Sent,
} from "./net_backend.ts";

const LENGTH_BYTES = 4;
const GONE = "its peer has gone";

/** A connected socket on the I/O thread. */
export class StreamBackend implements NetBackend {
  readonly #fd: number;
  readonly #vectors = new SocketVectors();
  readonly #frame = new FrameIovecs(LENGTH_BYTES, this.#vectors.iovecs);
  readonly #length = new DataView(new ArrayBuffer(LENGTH_BYTES));
  readonly #lengthBytes = new Uint8Array(this.#length.buffer);
  readonly #splitter = new FrameSplitter();
  /** What is left of a frame that the socket took in part. */
  readonly #rest = new Uint8Array(LENGTH_BYTES + MAX_FRAME);
  readonly #restAddress = addressOf(this.#rest);
  readonly #restVectors = new SocketVectors();
  #restStart = 0;
  #restEnd = 0;
  #events = 0;
  #loop: IoLoop | undefined;
  #owner: BackendOwner | undefined;

  /**
   * @param fd A non-blocking, connected socket
   */
  constructor(fd: number) {
    this.#fd = fd;
  }

  attend(loop: IoLoop, owner: BackendOwner): void {
    this.#loop = loop;
    this.#owner = owner;
    loop.watch(this.#fd, EpollEvent.EDGE, (events) => this.#ready(events));
  }

  send(_pair: number, _header: Uint8Array, chain: Chain, length: number): number {
    if (!this.#sendRest()) return Sent.BLOCKED;
    if (this.#loop === undefined) return Sent.FAILED;
    this.#length.setUint32(0, length);
    const count = this.#frame.set(this.#lengthBytes, chain, length);
    if (count < 0) return Sent.FAILED;
    const sent = this.#vectors.send(this.#fd, count);
    if (sent < 0) {
      this.#failed(-sent);
      return this.#loop === undefined ? Sent.FAILED : Sent.BLOCKED;
    }
    if (sent < LENGTH_BYTES + length) this.#keep(chain, sent, LENGTH_BYTES + length);
    return Sent.DONE;
  }

  receive(_pair: number, target: ReceiveTarget): boolean {
    for (;;) {
      const frame = this.#splitter.next();
      if (frame !== undefined) {
        target.take(frame);
        return true;
      }
      if (this.#splitter.broken) {
        const { announced } = this.#splitter;
        this.#end(`it sent a frame of ${announced} bytes, ${MAX_FRAME} is the most`);
        return false;
      }
      if (!this.#read()) return false;
    }
  }

  wantFrames(_pair: number, wanted: boolean): void {
    this.#wait(wanted ? this.#events | EpollEvent.IN : this.#events & ~EpollEvent.IN);
  }

  close(): void {
    this.#loop?.unwatch(this.#fd);
    this.#loop = undefined;
  }

  /** Reads as much as there is; false if there is nothing. */
  #read(): boolean {
    if (this.#loop === undefined) return false;
    const count = receiveBytes(this.#fd, this.#splitter.room());
    if (count > 0) this.#splitter.filled(count);
    else if (count === 0) this.#end(GONE);
    else if (count !== -Errno.EAGAIN) this.#failed(-count);
    return count > 0;
  }

  /** The guest has its buffer back at once, so what the socket did not take is copied. */
  #keep(chain: Chain, sent: number, total: number): void {
    const head = Math.max(0, LENGTH_BYTES - sent);
    this.#rest.set(this.#lengthBytes.subarray(LENGTH_BYTES - head));
    const from = HEADER_BYTES + Math.max(0, sent - LENGTH_BYTES);
    chain.read(from, this.#rest.subarray(head, total - sent));
    this.#restStart = 0;
    this.#restEnd = total - sent;
    this.#wait(this.#events | EpollEvent.OUT);
  }

  /** Sends what is left over; false if some of it still is. */
  #sendRest(): boolean {
    if (this.#restStart === this.#restEnd) return true;
    const length = this.#restEnd - this.#restStart;
    setIovec(this.#restVectors.iovecs, 0, this.#restAddress + this.#restStart, length);
    const sent = this.#restVectors.send(this.#fd, 1);
    if (sent > 0) this.#restStart += sent;
    else if (sent < 0) this.#failed(-sent);
    return this.#restStart === this.#restEnd;
  }

  #failed(code: number): void {
    if (code === Errno.EAGAIN) this.#wait(this.#events | EpollEvent.OUT);
    else this.#end(GONE);
  }

  #end(reason: string): void {
    if (this.#loop === undefined) return;
    this.close();
    this.#restStart = this.#restEnd = 0;
    this.#owner!.gone(reason);
  }

  /** Each change is told once; asking anew tells of what is there already (epoll(7)). */
  #wait(events: number): void {
    if (this.#events === events) return;
    this.#events = events;
    this.#loop?.change(this.#fd, events + EpollEvent.EDGE);
  }

  #ready(events: number): void {
    if ((events & EpollEvent.OUT) !== 0 && this.#sendRest()) {
      this.#wait(this.#events & ~EpollEvent.OUT);
      this.#owner!.writable(0);
    }
    // What a peer sent before it went is read first; reading then comes to the end.
    const gone = (events & (EpollEvent.ERR | EpollEvent.HUP)) !== 0;
    if (gone && (this.#events & EpollEvent.IN) === 0) this.#end(GONE);
    else if (gone || (events & EpollEvent.IN) !== 0) this.#owner!.readable(0);
  }
}
