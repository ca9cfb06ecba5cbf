/**
 * A disk on an NBD server, over a socket that has been negotiated: many requests under way, data
 * straight between the socket and guest memory.
 *
 * A server that hangs up, breaks the protocol or says nothing for a time while it is asked is gone:
 * what is under way and all that comes fails with EIO.
 *
 * @module
 */
import { addressOf } from "../../../ffi/address_of.ts";
import { EpollEvent } from "../../../ffi/epoll.ts";
import { Errno, errnoName } from "../../../ffi/errno.ts";
import { sendBytes, SocketVectors } from "../../../ffi/stream_socket.ts";
import type { IoLoop, IoTimer } from "../../io_loop.ts";
import { type DiskBackend, type DiskClient, MOST_REQUESTS } from "./backend.ts";
import type { IovecTable } from "./iovec_table.ts";
import {
  NBD_CMD_FLAG_NO_HOLE,
  NBD_REQUEST_MAGIC,
  NBD_SIMPLE_REPLY_MAGIC,
  NbdCommand,
  type NbdExport,
  REPLY_BYTES,
  REQUEST_BYTES,
} from "./nbd_protocol.ts";

/** A connection after its negotiation: plain data. */
export interface OpenedNbd extends NbdExport {
  readonly kind: "nbd";
  /** The socket, non-blocking. */
  readonly fd: number;
  /** For how many seconds the server may say nothing while it is asked. */
  readonly timeout: number;
}

/** Vectors of one call: the most that the kernel takes. */
const MOST_VECTORS = 1024;
/** Replies before other devices have their turn. */
const MOST_REPLIES = 64;
/** How long a reset waits for the server, in milliseconds. */
const CANCEL_MILLISECONDS = 5000;
const NONE = -1;

/** A disk behind NBD. */
export class NbdDisk implements DiskBackend {
  readonly engine = "nbd";
  readonly #server: OpenedNbd;
  readonly #loop: IoLoop;
  readonly #iovecs: IovecTable;
  readonly #client: DiskClient;
  readonly #now: () => number;
  readonly #timer: IoTimer;

  /** A command, or NONE for a tag that is free. */
  readonly #command = new Int8Array(MOST_REQUESTS).fill(NONE);
  readonly #serial = new Uint32Array(MOST_REQUESTS);
  /** Whether the server has all of the request, so that it may answer. */
  readonly #asked = new Uint8Array(MOST_REQUESTS);
  /** Where on the disk and in the tag's vectors the next piece is, and how much is left with it. */
  readonly #offset = new Float64Array(MOST_REQUESTS);
  readonly #skip = new Float64Array(MOST_REQUESTS);
  readonly #left = new Float64Array(MOST_REQUESTS);
  readonly #piece = new Float64Array(MOST_REQUESTS);
  #nextSerial = 0;
  #underWay = 0;

  /** Tags whose request is to be sent, a ring; how far the first one is sent. */
  readonly #queue = new Uint16Array(MOST_REQUESTS);
  #queueStart = 0;
  #queued = 0;
  #sent = 0;
  #blocked = false;
  readonly #out = new SocketVectors();
  readonly #headers = new DataView(new ArrayBuffer(MOST_REQUESTS * 32));
  readonly #headersAddress = addressOf(this.#headers);

  readonly #in = new SocketVectors();
  readonly #reply = new DataView(new ArrayBuffer(REPLY_BYTES));
  readonly #replyAddress = addressOf(this.#reply);
  /** Bytes of the reply's header that are there; the tag whose data comes next, and how much came. */
  #got = 0;
  #receiving = NONE;
  #received = 0;

  #deadline = Infinity;
  #dead = false;

  /**
   * @param server The connection
   * @param loop The I/O thread's
   * @param iovecs The requests' memory
   * @param client Who asks
   * @param now Milliseconds on the monotonic clock
   */
  constructor(
    server: OpenedNbd,
    loop: IoLoop,
    iovecs: IovecTable,
    client: DiskClient,
    now: () => number,
  ) {
    this.#server = server;
    this.#loop = loop;
    this.#iovecs = iovecs;
    this.#client = client;
    this.#now = now;
    this.#timer = loop.timer(() => this.#late());
    loop.watch(server.fd, EpollEvent.IN, (events) => this.#ready(events));
  }

  read(tag: number, offset: number, length: number): void {
    this.#begin(NbdCommand.READ, 0, tag, offset, length);
  }

  write(tag: number, offset: number, length: number): void {
    this.#begin(NbdCommand.WRITE, 0, tag, offset, length);
  }

  flush(tag: number): void {
    if (this.#server.flush) this.#begin(NbdCommand.FLUSH, 0, tag, 0, 0);
    else this.#client.done(tag, this.#dead ? Errno.EIO : 0); // nothing is ever behind
  }

  discard(tag: number, offset: number, length: number): void {
    this.#begin(NbdCommand.TRIM, 0, tag, offset, length);
  }

  writeZeroes(tag: number, offset: number, length: number, unmap: boolean): void {
    const flags = unmap ? 0 : NBD_CMD_FLAG_NO_HOLE;
    this.#begin(NbdCommand.WRITE_ZEROES, flags, tag, offset, length);
  }

  submit(): void {
    if (!this.#blocked) this.#send();
  }

  /** What the server has not begun to get is dropped; the rest it must answer soon. */
  cancel(): void {
    if (this.#dead) return;
    const begun = this.#sent > 0 ? 1 : 0;
    while (this.#queued > begun) {
      this.#queued--;
      this.#end(this.#queue[(this.#queueStart + this.#queued) % MOST_REQUESTS]!, Errno.ECANCELED);
    }
    if (this.#underWay === 0) return;
    for (let tag = 0; tag < MOST_REQUESTS; tag++) this.#left[tag] = this.#piece[tag]!;
    this.#deadline = Math.min(this.#deadline, this.#now() + CANCEL_MILLISECONDS);
    this.#timer.at(this.#deadline);
  }

  close(): void {
    if (!this.#dead) {
      if (this.#sent === 0) {
        this.#writeHeader(0, NbdCommand.DISC, 0, 0, 0);
        sendBytes(this.#server.fd, new Uint8Array(this.#headers.buffer, 0, REQUEST_BYTES));
      }
      this.#die(undefined);
    }
    this.#timer.at(Infinity);
  }

  #begin(command: number, flags: number, tag: number, offset: number, length: number): void {
    if (this.#dead) return this.#client.done(tag, Errno.EIO);
    this.#command[tag] = command;
    this.#offset[tag] = offset;
    this.#skip[tag] = 0;
    this.#left[tag] = length;
    if (this.#underWay++ === 0) this.#progress();
    this.#enqueue(tag, flags);
  }

  /** Puts the next piece of a request behind those that wait to be sent. */
  #enqueue(tag: number, flags: number): void {
    const command = this.#command[tag]!;
    const data = command === NbdCommand.READ || command === NbdCommand.WRITE;
    const piece = data ? Math.min(this.#left[tag]!, this.#server.most) : this.#left[tag]!;
    this.#piece[tag] = piece;
    this.#asked[tag] = 0;
    this.#serial[tag] = this.#nextSerial = (this.#nextSerial + 1) >>> 0;
    this.#writeHeader(tag, command, flags, this.#offset[tag]!, piece);
    this.#queue[(this.#queueStart + this.#queued++) % MOST_REQUESTS] = tag;
  }

  #writeHeader(tag: number, command: number, flags: number, offset: number, length: number): void {
    const at = tag * 32;
    const headers = this.#headers;
    headers.setUint32(at, NBD_REQUEST_MAGIC);
    headers.setUint16(at + 4, flags);
    headers.setUint16(at + 6, command);
    headers.setUint32(at + 8, this.#serial[tag]!);
    headers.setUint32(at + 12, tag);
    headers.setUint32(at + 16, Math.floor(offset / 2 ** 32));
    headers.setUint32(at + 20, offset >>> 0);
    headers.setUint32(at + 24, length);
  }

  /** Bytes of a request on the wire. */
  #size(tag: number): number {
    return REQUEST_BYTES + (this.#command[tag] === NbdCommand.WRITE ? this.#piece[tag]! : 0);
  }

  #send(): void {
    while (this.#queued > 0 && !this.#dead) {
      const count = this.#out.send(this.#server.fd, this.#fill());
      if (count === -Errno.EINTR) continue;
      if (count === -Errno.EAGAIN) return this.#block(true);
      if (count < 0) return this.#die(errnoName(-count).text);
      this.#sent += count;
      while (this.#queued > 0) {
        const tag = this.#queue[this.#queueStart]!;
        const size = this.#size(tag);
        if (this.#sent < size) break;
        this.#sent -= size;
        this.#asked[tag] = 1;
        this.#queueStart = (this.#queueStart + 1) % MOST_REQUESTS;
        this.#queued--;
      }
    }
    if (!this.#dead) this.#block(false);
  }

  /** Has the next call send the rest of the first request, and as many more as it takes. */
  #fill(): number {
    let count = 0;
    let skip = this.#sent;
    for (let i = 0; i < this.#queued && count < MOST_VECTORS; i++) {
      const tag = this.#queue[(this.#queueStart + i) % MOST_REQUESTS]!;
      if (skip < REQUEST_BYTES) {
        this.#out.set(count++, this.#headersAddress + tag * 32 + skip, REQUEST_BYTES - skip);
        skip = REQUEST_BYTES;
      }
      const length = this.#size(tag) - skip;
      if (length > 0) {
        const from = this.#skip[tag]! + skip - REQUEST_BYTES;
        count = this.#iovecs.copy(tag, from, length, this.#out.iovecs, count);
      }
      skip = 0;
      // A request that did not fit whole is the last one.
      if (count === MOST_VECTORS) break;
    }
    return count;
  }

  #block(blocked: boolean): void {
    if (this.#blocked === blocked) return;
    this.#blocked = blocked;
    this.#loop.change(this.#server.fd, EpollEvent.IN + (blocked ? EpollEvent.OUT : 0));
  }

  #ready(events: number): void {
    if (this.#dead) return;
    const before = this.#underWay;
    if ((events & ~EpollEvent.OUT) !== 0) this.#receive();
    if (!this.#dead && (this.#queued > 0 || this.#blocked)) this.#send();
    if (this.#underWay !== before) this.#client.settled();
  }

  #receive(): void {
    for (let replies = 0; replies < MOST_REPLIES && !this.#dead;) {
      const tag = this.#receiving;
      let count = 0;
      let wanted = 0;
      if (tag !== NONE) {
        wanted = this.#piece[tag]! - this.#received;
        const from = this.#skip[tag]! + this.#received;
        count = this.#iovecs.copy(tag, from, wanted, this.#in.iovecs, 0);
      }
      // The header behind the data comes with it.
      const header = count < MOST_VECTORS ? REPLY_BYTES - this.#got : 0;
      if (header > 0) this.#in.set(count++, this.#replyAddress + this.#got, header);
      const got = this.#in.receive(this.#server.fd, count);
      if (got === -Errno.EINTR) continue;
      if (got === -Errno.EAGAIN) return;
      if (got <= 0) return this.#die(got === 0 ? "it has hung up" : errnoName(-got).text);
      this.#progress();
      const data = Math.min(got, wanted);
      this.#received += data;
      this.#got += got - data;
      if (tag !== NONE && data === wanted) {
        this.#receiving = NONE;
        this.#answered(tag, 0);
        replies++;
      }
      if (this.#got === REPLY_BYTES) {
        this.#got = 0;
        replies++;
        this.#header();
      }
      // A short read has taken all there was.
      if (got < wanted + header) return;
    }
  }

  #header(): void {
    const reply = this.#reply;
    const tag = reply.getUint32(12);
    if (
      reply.getUint32(0) !== NBD_SIMPLE_REPLY_MAGIC || tag >= MOST_REQUESTS ||
      this.#command[tag] === NONE || this.#asked[tag] === 0 ||
      this.#serial[tag] !== reply.getUint32(8)
    ) {
      return this.#die("it answers what was not asked");
    }
    const errno = reply.getUint32(4);
    if (errno === 0 && this.#command[tag] === NbdCommand.READ) {
      this.#receiving = tag;
      this.#received = 0;
    } else {
      this.#answered(tag, errno > 4095 ? Errno.EIO : errno);
    }
  }

  #answered(tag: number, errno: number): void {
    const piece = this.#piece[tag]!;
    this.#left[tag]! -= piece;
    if (errno !== 0 || this.#left[tag]! <= 0) return this.#end(tag, errno);
    this.#skip[tag]! += piece;
    this.#offset[tag]! += piece;
    this.#enqueue(tag, 0);
  }

  #end(tag: number, errno: number): void {
    this.#command[tag] = NONE;
    this.#underWay--;
    this.#client.done(tag, errno);
  }

  /** The server is alive: the time that it has starts anew. */
  #progress(): void {
    const deadline = this.#now() + this.#server.timeout * 1000;
    // Setting the timer costs a call, so it runs out, and is then set to what is left.
    if (this.#deadline === Infinity) this.#timer.at(deadline);
    this.#deadline = deadline;
  }

  #late(): void {
    if (this.#dead) return;
    if (this.#underWay === 0) {
      this.#deadline = Infinity;
    } else if (this.#now() < this.#deadline) {
      this.#timer.at(this.#deadline);
    } else {
      this.#die("it does not answer");
      this.#client.settled();
    }
  }

  #die(reason: string | undefined): void {
    this.#dead = true;
    this.#loop.unwatch(this.#server.fd);
    this.#queued = 0;
    this.#receiving = NONE;
    if (reason !== undefined) this.#client.failed(`the NBD server is gone: ${reason}`);
    for (let tag = 0; tag < MOST_REQUESTS; tag++) {
      if (this.#command[tag] !== NONE) this.#end(tag, Errno.EIO);
    }
  }
}
