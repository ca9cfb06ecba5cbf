/**
 * ARP over Ethernet for IPv4 (RFC 826):
 *
 *     destination 6 | source 6 | 0x0806 | 1 | 0x0800 | 6 | 4 | operation 2
 *     sender MAC 6 | sender IPv4 4 | target MAC 6 | target IPv4 4
 *
 * @module
 */

const BYTES = 42;
const ETHERTYPE_ARP = 0x0806;
const HARDWARE_ETHERNET = 1;
const PROTOCOL_IPV4 = 0x0800;
const REQUEST = 1;
const REPLY = 2;
const OPERATION_OFFSET = 20;
const SENDER_MAC_OFFSET = 22;
const SENDER_IP_OFFSET = 28;
const TARGET_IP_OFFSET = 38;

/**
 * A question who has an address.
 *
 * @param mac Who asks, six bytes
 * @param address Its own IPv4 address, four bytes
 * @param wanted The address asked for
 * @returns The frame
 */
export function arpRequest(
  mac: Uint8Array,
  address: readonly number[],
  wanted: readonly number[],
): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(BYTES);
  const view = new DataView(frame.buffer);
  frame.fill(0xff, 0, 6);
  frame.set(mac, 6);
  view.setUint16(12, ETHERTYPE_ARP);
  view.setUint16(14, HARDWARE_ETHERNET);
  view.setUint16(16, PROTOCOL_IPV4);
  view.setUint8(18, 6);
  view.setUint8(19, 4);
  view.setUint16(OPERATION_OFFSET, REQUEST);
  frame.set(mac, SENDER_MAC_OFFSET);
  frame.set(address, SENDER_IP_OFFSET);
  frame.set(wanted, TARGET_IP_OFFSET);
  return frame;
}

/**
 * Reads an answer.
 *
 * @param frame Any frame
 * @param wanted The address that was asked for
 * @returns The MAC address that has it, or undefined if this is no such answer
 */
export function arpReply(frame: Uint8Array, wanted: readonly number[]): Uint8Array | undefined {
  if (frame.length < BYTES) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (view.getUint16(12) !== ETHERTYPE_ARP || view.getUint16(OPERATION_OFFSET) !== REPLY) {
    return undefined;
  }
  if (!wanted.every((byte, i) => frame[SENDER_IP_OFFSET + i] === byte)) return undefined;
  return frame.slice(SENDER_MAC_OFFSET, SENDER_MAC_OFFSET + 6);
}
