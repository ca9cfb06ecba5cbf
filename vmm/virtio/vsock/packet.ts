/**
 * The packets of a virtio socket device (virtio 1.2 §5.10.6), and the one header that is decoded or
 * encoded at a time.
 *
 *      0  src_cid    8 bytes, little-endian as all of it
 *      8  dst_cid    8
 *     16  src_port   4
 *     20  dst_port   4
 *     24  len        4    bytes of data behind the header
 *     28  type       2    1 for a stream
 *     30  op         2
 *     32  flags      4
 *     36  buf_alloc  4    the sender's receive buffer for this connection, in bytes
 *     40  fwd_cnt    4    how many bytes the sender has consumed so far, modulo 2^32
 *
 * @module
 */
import type { Chain } from "../virtio_device.ts";

/** Bytes of a packet's header. */
export const HEADER_BYTES = 44;
/** The host's context ID (§5.10.4). */
export const HOST_CID = 2;

/** What a packet says (§5.10.6, `enum virtio_vsock_op`). */
export const Op = {
  REQUEST: 1,
  RESPONSE: 2,
  RST: 3,
  SHUTDOWN: 4,
  RW: 5,
  CREDIT_UPDATE: 6,
  CREDIT_REQUEST: 7,
} as const;

/** Kinds of socket. */
export const SocketType = { STREAM: 1 } as const;

/** Flags of {@linkcode Op}`.SHUTDOWN`: what the sender of the packet will do no more. */
export const ShutdownFlag = { RECEIVE: 1, SEND: 2, BOTH: 3 } as const;

/** A packet's header, its fields decoded once; used again for each packet. */
export class PacketHeader {
  srcCid = 0;
  dstCid = 0;
  srcPort = 0;
  dstPort = 0;
  len = 0;
  type = 0;
  op = 0;
  flags = 0;
  bufAlloc = 0;
  fwdCnt = 0;
  readonly #bytes = new Uint8Array(HEADER_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);

  /**
   * Reads it, once: what the guest changes afterwards has no effect.
   *
   * @param chain A chain of the tx queue
   * @returns Whether the chain is long enough for one
   */
  read(chain: Chain): boolean {
    if (chain.read(0, this.#bytes) < HEADER_BYTES) return false;
    const view = this.#view;
    this.srcCid = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
    this.dstCid = view.getUint32(8, true) + view.getUint32(12, true) * 2 ** 32;
    this.srcPort = view.getUint32(16, true);
    this.dstPort = view.getUint32(20, true);
    this.len = view.getUint32(24, true);
    this.type = view.getUint16(28, true);
    this.op = view.getUint16(30, true);
    this.flags = view.getUint32(32, true);
    this.bufAlloc = view.getUint32(36, true);
    this.fwdCnt = view.getUint32(40, true);
    return true;
  }

  /**
   * Writes it.
   *
   * @param chain A chain of the rx queue
   */
  write(chain: Chain): void {
    const view = this.#view;
    view.setUint32(0, this.srcCid, true);
    view.setUint32(4, this.srcCid / 2 ** 32, true);
    view.setUint32(8, this.dstCid, true);
    view.setUint32(12, this.dstCid / 2 ** 32, true);
    view.setUint32(16, this.srcPort, true);
    view.setUint32(20, this.dstPort, true);
    view.setUint32(24, this.len, true);
    view.setUint16(28, this.type, true);
    view.setUint16(30, this.op, true);
    view.setUint32(32, this.flags, true);
    view.setUint32(36, this.bufAlloc, true);
    view.setUint32(40, this.fwdCnt, true);
    chain.write(0, this.#bytes);
  }
}
