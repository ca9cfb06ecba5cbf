/**
 * The credit of one connection, both ways (virtio 1.2 §5.10.6.3). Counters of bytes are modulo 2^32, as
 * in the packets.
 *
 * @module
 */
import type { PacketHeader } from "./packet.ts";

/** Bytes that a guest may have on their way to one host socket. */
export const BUF_ALLOC = 2 ** 18;

/** Who may send how much. */
export class Credit {
  #received = 0;
  #forwarded = 0;
  /** What the guest has last been told of `forwarded`. */
  #told = 0;
  #sent = 0;
  #peerBufAlloc = 0;
  #peerForwarded = 0;

  /** Bytes that the guest may send now. */
  get granted(): number {
    return BUF_ALLOC - ((this.#received - this.#forwarded) >>> 0);
  }

  /** Bytes that the guest can take now. One that lies about it stops only itself. */
  get room(): number {
    const inFlight = (this.#sent - this.#peerForwarded) >>> 0;
    return Math.max(0, this.#peerBufAlloc - inFlight);
  }

  /** Whether the guest, as far as it knows, has too little left for a good pace. */
  get dwindles(): boolean {
    return ((this.#received - this.#told) >>> 0) > BUF_ALLOC / 2 && this.#told !== this.#forwarded;
  }

  /** Bytes have come from the guest. */
  receive(length: number): void {
    this.#received = (this.#received + length) >>> 0;
  }

  /** The host has taken bytes. */
  forward(length: number): void {
    this.#forwarded = (this.#forwarded + length) >>> 0;
  }

  /** Bytes go to the guest. */
  send(length: number): void {
    this.#sent = (this.#sent + length) >>> 0;
  }

  /** Takes what each packet of the guest says of its own buffer. */
  take(header: PacketHeader): void {
    this.#peerBufAlloc = header.bufAlloc;
    this.#peerForwarded = header.fwdCnt;
  }

  /** Says ours in a packet to the guest. */
  tell(header: PacketHeader): void {
    this.#told = this.#forwarded;
    header.bufAlloc = BUF_ALLOC;
    header.fwdCnt = this.#forwarded;
  }
}
