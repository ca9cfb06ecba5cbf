/**
 * The header before each frame, `struct virtio_net_hdr_v1` (virtio 1.2 §5.1.6):
 *
 *     u8 flags | u8 gso_type | le16 hdr_len | le16 gso_size | le16 csum_start | le16 csum_offset |
 *     le16 num_buffers
 *
 * What the guest says in it is checked before the kernel sees it, on a copy.
 *
 * @module
 */
import { HEADER_BYTES, MIN_FRAME } from "../../backends/net/net_backend.ts";
import { NetFeature } from "./features.ts";

const FLAGS = 0;
const GSO_TYPE = 1;
const HDR_LEN = 2;
const GSO_SIZE = 4;
const CSUM_START = 6;
const CSUM_OFFSET = 8;
const NUM_BUFFERS = 10;

const NEEDS_CSUM = 1;
/** A checksum has two bytes. */
const CHECKSUM_BYTES = 2;

/** `VIRTIO_NET_HDR_GSO_`. */
const Gso = { NONE: 0, TCPV4: 1, UDP: 3, TCPV6: 4, UDP_L4: 5, ECN: 0x80 } as const;

/** A header of the host's own. */
export class NetHeader {
  /** Its bytes, at the start of a buffer that does not move. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The buffer that they are at the start of. */
  readonly storage: Uint8Array<ArrayBuffer> = new Uint8Array(128);
  readonly #view = new DataView(this.storage.buffer);

  constructor() {
    this.bytes = this.storage.subarray(0, HEADER_BYTES);
  }

  /** Whether the frame is unfinished: its checksum is to be filled in, or it is to be cut up. */
  get offloaded(): boolean {
    return (this.storage[FLAGS]! & NEEDS_CSUM) !== 0 || this.storage[GSO_TYPE] !== Gso.NONE;
  }

  /** Makes it the header of a finished frame. */
  clear(): void {
    this.bytes.fill(0);
  }

  /** Says over how many buffers the frame is spread; 1 without MRG_RXBUF. */
  set buffers(count: number) {
    this.#view.setUint16(NUM_BUFFERS, count, true);
  }

  /**
   * Checks what the guest wrote, and leaves in it only what was checked.
   *
   * @param length Bytes of the frame behind it
   * @param has Whether a feature was negotiated
   * @returns Whether the kernel may have it
   */
  check(length: number, has: (feature: number) => boolean): boolean {
    const view = this.#view;
    this.storage[FLAGS] = this.storage[FLAGS]! & NEEDS_CSUM;
    view.setUint16(NUM_BUFFERS, 0, true);
    if (!this.offloaded) {
      this.clear();
      return true;
    }
    if (this.storage[FLAGS] === 0 || !has(NetFeature.CSUM)) return false; // §5.1.6.2: GSO needs it
    const start = view.getUint16(CSUM_START, true);
    const end = start + view.getUint16(CSUM_OFFSET, true) + CHECKSUM_BYTES;
    if (start < MIN_FRAME || end > length) return false;
    const type = this.storage[GSO_TYPE]!;
    if (type === Gso.NONE) {
      view.setUint16(HDR_LEN, 0, true);
      view.setUint16(GSO_SIZE, 0, true);
      return true;
    }
    if (view.getUint16(GSO_SIZE, true) === 0 || view.getUint16(HDR_LEN, true) > length) {
      return false;
    }
    return allowed(type, has);
  }
}

function allowed(type: number, has: (feature: number) => boolean): boolean {
  const ecn = (type & Gso.ECN) === 0 || has(NetFeature.HOST_ECN);
  switch (type & ~Gso.ECN) {
    case Gso.TCPV4:
      return ecn && has(NetFeature.HOST_TSO4);
    case Gso.TCPV6:
      return ecn && has(NetFeature.HOST_TSO6);
    case Gso.UDP:
      return type === Gso.UDP && has(NetFeature.HOST_UFO);
    case Gso.UDP_L4:
      return type === Gso.UDP_L4 && has(NetFeature.HOST_USO);
    default:
      return false;
  }
}
