/**
 * Packets of a guest in tests: Ethernet, IPv4, UDP, TCP, as bytes and back (RFC 791, 768, 9293).
 *
 * @module
 */

const ETHERNET = 14;
const IPV4 = 20;
const UDP = 8;
const TCP = 20;
const ETHERTYPE_IPV4 = 0x0800;

/** Protocol numbers. */
export const Protocol = { TCP: 6, UDP: 17 } as const;
/** TCP's flags. */
export const TcpFlag = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16 } as const;

/** Where a packet goes from and to. */
export interface Ends {
  readonly sourceMac: Uint8Array;
  readonly targetMac: Uint8Array;
  readonly source: readonly number[];
  readonly target: readonly number[];
  readonly sourcePort: number;
  readonly targetPort: number;
}

/** What of TCP's header a test sets. */
export interface TcpFields {
  readonly sequence: number;
  readonly acknowledged: number;
  readonly flags: number;
}

/** A UDP or TCP packet that was received. */
export interface Packet extends Ends {
  readonly protocol: number;
  readonly data: Uint8Array<ArrayBuffer>;
  readonly tcp: TcpFields;
}

/** The Internet checksum of some bytes, onto a sum. */
function checksum(bytes: Uint8Array, start = 0): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return sum;
}

/** A UDP packet in its frame. */
export function udpFrame(ends: Ends, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const segment = new Uint8Array(UDP + data.length);
  const view = new DataView(segment.buffer);
  view.setUint16(0, ends.sourcePort);
  view.setUint16(2, ends.targetPort);
  view.setUint16(4, segment.length);
  segment.set(data, UDP);
  view.setUint16(6, segmentChecksum(ends, Protocol.UDP, segment) || 0xffff);
  return frame(ends, Protocol.UDP, segment);
}

/** A TCP packet in its frame. */
export function tcpFrame(
  ends: Ends,
  fields: TcpFields,
  data: Uint8Array = new Uint8Array(0),
): Uint8Array<ArrayBuffer> {
  const segment = new Uint8Array(TCP + data.length);
  const view = new DataView(segment.buffer);
  view.setUint16(0, ends.sourcePort);
  view.setUint16(2, ends.targetPort);
  view.setUint32(4, fields.sequence);
  view.setUint32(8, fields.acknowledged);
  view.setUint8(12, (TCP / 4) << 4);
  view.setUint8(13, fields.flags);
  view.setUint16(14, 0xffff);
  segment.set(data, TCP);
  view.setUint16(16, segmentChecksum(ends, Protocol.TCP, segment));
  return frame(ends, Protocol.TCP, segment);
}

/** A UDP or TCP packet of a frame, if it is one. */
export function parsePacket(bytes: Uint8Array): Packet | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < ETHERNET + IPV4 || view.getUint16(12) !== ETHERTYPE_IPV4) return undefined;
  const protocol = bytes[ETHERNET + 9]!;
  if (protocol !== Protocol.UDP && protocol !== Protocol.TCP) return undefined;
  const start = ETHERNET + (bytes[ETHERNET]! & 0xf) * 4;
  const end = ETHERNET + view.getUint16(ETHERNET + 2);
  const tcp = protocol === Protocol.TCP;
  const header = tcp ? (bytes[start + 12]! >> 4) * 4 : UDP;
  return {
    protocol,
    targetMac: bytes.slice(0, 6),
    sourceMac: bytes.slice(6, 12),
    source: [...bytes.subarray(ETHERNET + 12, ETHERNET + 16)],
    target: [...bytes.subarray(ETHERNET + 16, ETHERNET + 20)],
    sourcePort: view.getUint16(start),
    targetPort: view.getUint16(start + 2),
    data: bytes.slice(start + header, end),
    tcp: tcp
      ? {
        sequence: view.getUint32(start + 4),
        acknowledged: view.getUint32(start + 8),
        flags: bytes[start + 13]!,
      }
      : { sequence: 0, acknowledged: 0, flags: 0 },
  };
}

function frame(ends: Ends, protocol: number, segment: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ETHERNET + IPV4 + segment.length);
  const view = new DataView(bytes.buffer);
  bytes.set(ends.targetMac);
  bytes.set(ends.sourceMac, 6);
  view.setUint16(12, ETHERTYPE_IPV4);
  view.setUint8(ETHERNET, 0x45);
  view.setUint16(ETHERNET + 2, IPV4 + segment.length);
  view.setUint8(ETHERNET + 8, 64);
  view.setUint8(ETHERNET + 9, protocol);
  bytes.set(ends.source, ETHERNET + 12);
  bytes.set(ends.target, ETHERNET + 16);
  view.setUint16(ETHERNET + 10, ~checksum(bytes.subarray(ETHERNET, ETHERNET + IPV4)) & 0xffff);
  bytes.set(segment, ETHERNET + IPV4);
  return bytes;
}

function segmentChecksum(ends: Ends, protocol: number, segment: Uint8Array): number {
  const pseudo = Uint8Array.of(
    ...ends.source,
    ...ends.target,
    0,
    protocol,
    segment.length >> 8,
    segment.length & 0xff,
  );
  return ~checksum(segment, checksum(pseudo)) & 0xffff;
}
